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
	LEAVE(standin_alloc(standin_current, at, n));
}

CUresult cuMemFree(CUdeviceptr at)
{
	ENTER();
	LEAVE(standin_free(at));
}

CUresult cuMemAllocHost(void **memory, size_t n)
{
	ENTER();
	*memory = malloc(n);
	LEAVE(*memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult cuMemFreeHost(void *memory)
{
	ENTER();
	free(memory);
	LEAVE(CUDA_SUCCESS);
}

/* move copies between addresses of the host, NULL where there is none. */
static CUresult move(CUstream stream, void *to, const void *from, size_t n)
{
	stream->busy = 1;
	if (!to || !from)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(to, from, n);
	return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(move(stream, standin_memory(standin_current, to, n), from, n));
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(move(stream, to, standin_memory(standin_current, from, n), n));
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(move(stream, standin_memory(standin_current, to, n), standin_memory(standin_current, from, n), n));
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t n, CUstream stream)
{
	ENTER();
	LEAVE(move(stream, standin_memory(to_context, to, n), standin_memory(from_context, from, n), n));
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream)
{
	void *memory;

	ENTER();
	memory = standin_memory(standin_current, to, n);
	stream->busy = 1;
	if (!memory)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	memset(memory, value, n);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t n, CUstream stream)
{
	unsigned int *memory;

	ENTER();
	memory = standin_memory(standin_current, to, 4 * n);
	stream->busy = 1;
	if (!memory || to % 4)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	for (size_t i = 0; i < n; i++)
		memory[i] = value;
	LEAVE(CUDA_SUCCESS);
}
