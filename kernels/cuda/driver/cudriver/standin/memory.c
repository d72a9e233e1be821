/* Memory and copies. A device address is a host address with the top bits changed, so that neither can be taken for the other. */
#include "standin.h"

#define DEVICE_BITS (1ull << 62)
#define ALIGNMENT 256

static struct allocation {
	struct allocation *next;
	CUcontext context;
	char *memory;
	size_t n;
} *allocations;

static CUdeviceptr address(const struct allocation *a) { return (CUdeviceptr)(uintptr_t)a->memory ^ DEVICE_BITS; }

void *standin_memory(CUcontext context, CUdeviceptr at, size_t n)
{
	for (struct allocation *a = allocations; a; a = a->next) {
		CUdeviceptr first = address(a);

		if (at < first || at - first > a->n || n > a->n - (at - first))
			continue;
		if (a->context == context || context->peers & 1 << a->context->device)
			return a->memory + (at - first);
	}
	return NULL;
}

CUresult standin_alloc(CUcontext context, CUdeviceptr *at, size_t n)
{
	size_t total, rounded = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct allocation *a;

	cuDeviceTotalMem(&total, context->device);
	if (!n)
		return CUDA_ERROR_INVALID_VALUE;
	if (rounded > total - context->used)
		return CUDA_ERROR_OUT_OF_MEMORY;
	a = malloc(sizeof *a);
	*a = (struct allocation){.next = allocations, .context = context, .memory = aligned_alloc(ALIGNMENT, rounded), .n = n};
	memset(a->memory, 0xa5, rounded);
	allocations = a;
	context->used += rounded;
	*at = address(a);
	return CUDA_SUCCESS;
}

CUresult standin_free(CUdeviceptr at)
{
	for (struct allocation **p = &allocations; *p; p = &(*p)->next) {
		struct allocation *a = *p;

		if (address(a) != at)
			continue;
		*p = a->next;
		a->context->used -= (a->n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
		free(a->memory);
		free(a);
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetInfo(size_t *unused, size_t *total)
{
	ENTER();
	cuDeviceTotalMem(total, standin_current->device);
	*unused = *total - standin_current->used;
	LEAVE(CUDA_SUCCESS);
}

CUresult cuMemAlloc(CUdeviceptr *at, size_t n)
{
	ENTER();
	IDLE();
	LEAVE(standin_alloc(standin_current, at, n));
}

CUresult cuMemFree(CUdeviceptr at)
{
	ENTER();
	IDLE();
	LEAVE(standin_free(at));
}

CUresult cuMemAllocHost(void **memory, size_t n)
{
	ENTER();
	IDLE();
	*memory = malloc(n);
	LEAVE(*memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult cuMemFreeHost(void *memory)
{
	ENTER();
	IDLE();
	free(memory);
	LEAVE(CUDA_SUCCESS);
}

/* copy moves n bytes from the host, or from a context's memory, to the host or to the work's own context. */
static CUresult copy(const struct work *w)
{
	void *to = w->to ? standin_memory(w->context, w->to, w->n) : w->host, *from = w->from ? standin_memory(w->from_context, w->from, w->n) : w->host;

	if (!to || !from)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(to, from, w->n);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(standin_enqueue(stream, (struct work){.run = copy, .context = standin_current, .to = to, .host = (void *)from, .n = n}));
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(standin_enqueue(stream, (struct work){.run = copy, .from_context = standin_current, .host = to, .from = from, .n = n}));
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream)
{
	return cuMemcpyPeerAsync(to, standin_current, from, standin_current, n, stream);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(standin_enqueue(stream, (struct work){.run = copy, .context = to_context, .to = to, .from_context = from_context, .from = from, .n = n}));
}

/* fill sets n elements of a size. */
static CUresult fill(const struct work *w)
{
	char *memory = standin_memory(w->context, w->to, w->size * w->n);

	if (!memory || w->to % w->size)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < w->n; i++)
		memcpy(memory + w->size * i, &w->value, w->size); /* little-endian */
	return CUDA_SUCCESS;
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(standin_enqueue(stream, (struct work){.run = fill, .context = standin_current, .to = to, .value = value, .size = 1, .n = n}));
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(standin_enqueue(stream, (struct work){.run = fill, .context = standin_current, .to = to, .value = value, .size = 4, .n = n}));
}
