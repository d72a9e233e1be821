/* Modules and launches. PTX is not interpreted: a module must be that of cudriver's tests, with the kernel add and the variable bias, which are known here. */
#include "standin.h"

#include <stdio.h>

struct CUfunc_st {
	int allowed; /* bytes of dynamic shared memory */
};

struct CUmod_st {
	CUdeviceptr bias;
	struct CUfunc_st add;
};

static const unsigned int bias[2] = {7, 0};

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options, void **values)
{
	char *log = NULL;
	CUresult status;

	for (unsigned int i = 0; i < n; i++)
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
			log = values[i];
	ENTER();
	IDLE();
	if (!strstr(image, ".entry add(") || !strstr(image, "bias")) {
		if (log)
			strcpy(log, "not the module of the tests\n");
		LEAVE(CUDA_ERROR_INVALID_PTX);
	}
	*module = calloc(1, sizeof **module);
	(*module)->add.allowed = 48 << 10;
	status = standin_alloc(standin_current, &(*module)->bias, sizeof bias);
	if (status)
		LEAVE(status);
	memcpy(standin_memory(standin_current, (*module)->bias, sizeof bias), bias, sizeof bias);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuModuleUnload(CUmodule module)
{
	ENTER();
	standin_free(module->bias);
	free(module);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
	ENTER();
	*function = &module->add;
	LEAVE(strcmp(name, "add") ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS);
}

CUresult cuModuleGetGlobal(CUdeviceptr *at, size_t *n, CUmodule module, const char *name)
{
	ENTER();
	*at = module->bias;
	*n = sizeof bias;
	LEAVE(strcmp(name, "bias") ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS);
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
	(void)function;
	switch (attribute) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*value = 1024;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*value = 0;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
	int most;

	cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0);
	if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > most)
		return CUDA_ERROR_INVALID_VALUE;
	function->allowed = value;
	return CUDA_SUCCESS;
}

/* add(at, by, n) adds by to n words, one to a thread of the first block. A word that is not there loses the context, as on a GPU, from the next call on. */
static CUresult add(const struct work *w)
{
	for (size_t i = 0; i < w->n; i++) {
		unsigned int *word = standin_memory(w->context, w->to + 4 * i, 4);

		if (word)
			*word += w->value;
		else
			w->context->lost = CUDA_ERROR_ILLEGAL_ADDRESS;
	}
	return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			CUstream stream, void **parameters, void **extra)
{
	struct work w = {.run = add, .context = standin_current, .to = *(CUdeviceptr *)parameters[0], .value = *(unsigned int *)parameters[1]};

	ENTER();
	if (extra || !gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || (int)shared > function->allowed)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	w.n = *(unsigned int *)parameters[2];
	if (w.n > bx)
		w.n = bx;
	LEAVE(standin_enqueue(stream, w));
}
