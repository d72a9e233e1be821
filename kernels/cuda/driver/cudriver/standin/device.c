/* Devices, contexts, streams and events of a libcuda.so.1 whose GPUs are host memory. It proves that cu and cudriver reach the driver with the right
 * symbols, arguments and types; it says nothing of a GPU. OFPEAK_STANDIN_DEVICES is the number of devices, CUDA_VISIBLE_DEVICES as always. */
#include "standin.h"

#include <stdio.h>
#include <time.h>

pthread_mutex_t standin_mutex = PTHREAD_MUTEX_INITIALIZER;
__thread CUcontext standin_current;
struct CUctx_st standin_contexts[MAX_DEVICES];

int standin_devices(void)
{
	const char *visible = getenv("CUDA_VISIBLE_DEVICES"), *there = getenv("OFPEAK_STANDIN_DEVICES");
	int n = there ? atoi(there) : 1;

	if (visible && !*visible)
		return 0;
	return n < MAX_DEVICES ? n : MAX_DEVICES;
}

int standin_fails(const char *name)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static char asked[128];
	static int left;
	const char *want = getenv("OFPEAK_STANDIN_FAIL"), *colon = want ? strchr(want, ':') : NULL;
	int fails;

	if (!colon)
		return 0;
	pthread_mutex_lock(&mutex);
	if (strncmp(asked, want, sizeof asked)) {
		snprintf(asked, sizeof asked, "%s", want);
		left = atoi(colon + 1);
	}
	fails = strlen(name) == (size_t)(colon - want) && !strncmp(name, want, strlen(name)) && left && !--left;
	pthread_mutex_unlock(&mutex);
	return fails;
}

CUresult cuInit(unsigned int flags)
{
	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	return standin_devices() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
	*version = 12040;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *n)
{
	*n = standin_devices();
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int i)
{
	if (i < 0 || i >= standin_devices())
		return CUDA_ERROR_INVALID_DEVICE;
	*device = i;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int n, CUdevice device)
{
	snprintf(name, (size_t)n, "stand-in %d", device);
	return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device)
{
	(void)device;
	*bytes = 1 << 24;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
		*value = 8;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
		*value = 9;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
		*value = 4;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
		*value = 101376;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
		*value = 1 << 20;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
		*value = 1410000;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
		*value = 1;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
		*value = 0x3b + device;
		return CUDA_SUCCESS;
	case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
		*value = 0;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuDeviceCanAccessPeer(int *able, CUdevice device, CUdevice peer)
{
	*able = device != peer;
	return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
	if (device < 0 || device >= standin_devices())
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&standin_mutex);
	*context = &standin_contexts[device];
	if (!(*context)->retained++)
		**context = (struct CUctx_st){.device = device, .retained = 1, .used = (*context)->used};
	LEAVE(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
	CUresult lost = standin_contexts[device].lost;

	pthread_mutex_lock(&standin_mutex);
	standin_contexts[device].retained--;
	LEAVE(lost);
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
	*context = standin_current && standin_current->retained ? standin_current : NULL;
	return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context)
{
	standin_current = context;
	return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void)
{
	ENTER();
	IDLE();
	LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags)
{
	int bit = 1 << peer->device;

	ENTER();
	if (flags)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	if (standin_current->peers & bit)
		LEAVE(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
	standin_current->peers |= bit;
	LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags)
{
	ENTER();
	if (flags != CU_STREAM_NON_BLOCKING)
		LEAVE(CUDA_ERROR_INVALID_VALUE);
	*stream = calloc(1, sizeof **stream);
	(*stream)->context = standin_current;
	LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamDestroy(CUstream stream)
{
	ENTER();
	free(stream);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamQuery(CUstream stream)
{
	int busy;

	ENTER();
	if (stream->capture)
		IDLE();
	busy = stream->busy;
	stream->busy = 0;
	LEAVE(busy ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
}

CUresult cuStreamSynchronize(CUstream stream)
{
	ENTER();
	if (stream->capture)
		IDLE();
	stream->busy = 0;
	LEAVE(CUDA_SUCCESS);
}

CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
	ENTER();
	*event = calloc(1, sizeof **event);
	(*event)->context = standin_current;
	(*event)->flags = flags;
	LEAVE(CUDA_SUCCESS);
}

CUresult cuEventDestroy(CUevent event)
{
	ENTER();
	free(event);
	LEAVE(CUDA_SUCCESS);
}

CUresult cuEventQuery(CUevent event)
{
	ENTER();
	if (event->context != standin_current)
		LEAVE(CUDA_ERROR_INVALID_HANDLE);
	if (event->capture) {
		standin_idle(standin_current);
		LEAVE(CUDA_ERROR_CAPTURED_EVENT);
	}
	LEAVE(CUDA_SUCCESS);
}

CUresult cuEventSynchronize(CUevent event) { return cuEventQuery(event); }

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
	ENTER();
	if (!start->recorded || !end->recorded || ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING))
		LEAVE(CUDA_ERROR_INVALID_HANDLE);
	*milliseconds = (float)(end->milliseconds - start->milliseconds);
	LEAVE(CUDA_SUCCESS);
}
