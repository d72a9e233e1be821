//go:build gpu

/* The functions of the CUDA driver API that gorgonia.org/cu and cudriver call, with the signatures that cuda.h has. Each hands over to Go, in calls.go, handles being numbers. */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CUDA's current context is a thread's. */
static __thread uintptr_t current;

#define ID(handle) ((uintptr_t)(handle))
#define TRY(call) (fails(__func__) ? failure : (CUresult)(call))
#define IN_CONTEXT(call) TRY(current ? (CUresult)(call) : CUDA_ERROR_INVALID_CONTEXT)

/* What OFPEAK_SIMULATED_FAIL says as NAME:N:CODE: the Nth call of a function, whichever it is, returns a CUresult. */
static CUresult failure;

static int fails(const char *name)
{
	static int calls;
	const char *asked = getenv("OFPEAK_SIMULATED_FAIL");
	size_t n = strlen(name);
	int which, code;

	if (!asked || strncmp(asked, name, n) || sscanf(asked + n, ":%d:%d", &which, &code) != 2)
		return 0;
	failure = (CUresult)code;
	return __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == which;
}

/* The device that all are like; name and attributes do not change. */
static const struct sim_device *like(void)
{
	static struct sim_device device;

	if (!device.major)
		sim_describe(&device);
	return &device;
}

CUresult cuInit(unsigned int flags)
{
	if (fails(__func__))
		return failure;
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return sim_devices() > 0 ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
	if (fails(__func__))
		return failure;
	*version = sim_version();
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *n)
{
	if (fails(__func__))
		return failure;
	*n = sim_devices();
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int i)
{
	if (fails(__func__))
		return failure;
	*device = i;
	return i >= 0 && i < sim_devices() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char *name, int n, CUdevice device)
{
	if (fails(__func__))
		return failure;
	(void)device;
	snprintf(name, (size_t)n, "%s", like()->name);
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
	if (fails(__func__))
		return failure;
	(void)device;
	*bytes = like()->memory;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	if (fails(__func__))
		return failure;
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
		*value = like()->major;
		break;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*value = like()->minor;
		break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
		*value = like()->multiprocessors;
		break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
		*value = like()->shared;
		break;
	case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
	case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
		*value = 0;
		break;
	case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
		*value = 1;
		break;
	case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
		*value = 0x3b + device;
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *able, CUdevice device, CUdevice peer)
{
	if (fails(__func__))
		return failure;
	*able = device != peer;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) { return TRY(sim_retain(device, (uintptr_t *)context)); }
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return TRY(sim_release(device)); }

CUresult cuCtxSetCurrent(CUcontext context)
{
	if (fails(__func__))
		return failure;
	current = ID(context);
	return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
	if (fails(__func__))
		return failure;
	*context = (CUcontext)current;
	return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) { return IN_CONTEXT(sim_synchronize(current)); }

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
	return flags ? CUDA_ERROR_INVALID_VALUE : IN_CONTEXT(sim_enable_peer(current, ID(peer)));
}

CUresult cuMemGetInfo(size_t *unused, size_t *total) { return IN_CONTEXT(sim_mem_info(current, unused, total)); }
CUresult cuMemAlloc(CUdeviceptr *at, size_t n) { return IN_CONTEXT(sim_alloc(current, (uint64_t *)at, n)); }
CUresult cuMemFree(CUdeviceptr at) { return IN_CONTEXT(sim_free(current, at)); }
CUresult cuMemAllocHost(void **memory, size_t n) { return IN_CONTEXT(sim_alloc_host(current, (uintptr_t *)memory, n)); }
CUresult cuMemFreeHost(void *memory) { return IN_CONTEXT(sim_free_host(current, (uintptr_t)memory)); }

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	return flags == CU_STREAM_NON_BLOCKING ? IN_CONTEXT(sim_stream(current, (uintptr_t *)stream)) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuStreamDestroy(CUstream stream) { return TRY(sim_close(ID(stream))); }
CUresult cuStreamQuery(CUstream stream) { return TRY(sim_query(ID(stream))); }
CUresult cuStreamSynchronize(CUstream stream) { return TRY(sim_wait(ID(stream))); }

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags)
{
	return TRY(flags ? CUDA_ERROR_INVALID_VALUE : sim_wait_event(ID(stream), ID(event)));
}

CUresult cuEventCreate(CUevent *event, unsigned int flags) { return IN_CONTEXT(sim_event(current, !(flags & CU_EVENT_DISABLE_TIMING), (uintptr_t *)event)); }
CUresult cuEventDestroy(CUevent event) { return TRY(sim_close(ID(event))); }
CUresult cuEventRecord(CUevent event, CUstream stream) { return TRY(sim_record(ID(stream), ID(event))); }
CUresult cuEventQuery(CUevent event) { return TRY(sim_query(ID(event))); }
CUresult cuEventSynchronize(CUevent event) { return TRY(sim_wait(ID(event))); }
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) { return TRY(sim_elapsed(milliseconds, ID(start), ID(end))); }

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t n, CUstream stream) { return TRY(sim_to_device(ID(stream), to, (uintptr_t)from, n)); }
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t n, CUstream stream) { return TRY(sim_to_host(ID(stream), (uintptr_t)to, from, n)); }
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) { return TRY(sim_copy(ID(stream), to, from, n)); }

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t n, CUstream stream)
{
	return TRY(ID(to_context) == current ? (CUresult)sim_copy_peer(ID(stream), to, ID(from_context), from, n) : CUDA_ERROR_INVALID_CONTEXT);
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream stream) { return TRY(sim_fill(ID(stream), to, value, 1, n)); }
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t n, CUstream stream) { return TRY(sim_fill(ID(stream), to, value, 4, n)); }

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int n, CUjit_option *options, void **values)
{
	char *log = NULL;
	size_t size = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
			log = values[i];
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
			size = (size_t)values[i];
	}
	return IN_CONTEXT(sim_module(current, (char *)image, log, log ? size : 0, (uintptr_t *)module));
}

CUresult cuModuleUnload(CUmodule module) { return TRY(sim_close(ID(module))); }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) { return TRY(sim_function(ID(module), (char *)name, (uintptr_t *)function)); }
CUresult cuModuleGetGlobal(CUdeviceptr *at, size_t *n, CUmodule module, const char *name) { return TRY(sim_global(ID(module), (char *)name, (uint64_t *)at, n)); }

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
	struct sim_function f;
	CUresult status = TRY(sim_describe_function(ID(function), &f));

	switch (attribute) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*value = f.threads;
		return status;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
		*value = f.shared;
		return status;
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*value = f.local;
		return status;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
	return TRY(attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES ? (CUresult)sim_allow_shared(ID(function), value) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuLaunchKernel(CUfunction function, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			CUstream stream, void **parameters, void **extra)
{
	unsigned int shape[6] = {gx, gy, gz, bx, by, bz};

	return TRY(extra ? CUDA_ERROR_INVALID_VALUE : (CUresult)sim_launch(ID(stream), ID(function), shape, shared, parameters));
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
	return TRY(mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL ? (CUresult)sim_begin_capture(ID(stream)) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) { return TRY(sim_end_capture(ID(stream), (uintptr_t *)graph)); }

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags)
{
	return TRY(flags == CU_EVENT_RECORD_EXTERNAL ? (CUresult)sim_record_node(ID(stream), ID(event)) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *launchable, CUgraph graph, unsigned long long flags)
{
	return TRY(flags ? CUDA_ERROR_INVALID_VALUE : (CUresult)sim_instantiate(ID(graph), (uintptr_t *)launchable));
}

CUresult cuGraphDestroy(CUgraph graph) { return TRY(sim_close(ID(graph))); }
CUresult cuGraphLaunch(CUgraphExec launchable, CUstream stream) { return TRY(sim_launch_graph(ID(launchable), ID(stream))); }
CUresult cuGraphExecDestroy(CUgraphExec launchable) { return TRY(sim_close(ID(launchable))); }
