/* A libnvidia-ml.so.1 that knows three GPUs by their PCI addresses: at bus 3b one that tells all, at 3c one that is cut into slices (MIG), at 3d one that tells
 * nothing. The first two are where the stand-in for the driver has its devices. Each reading of the first one's energy is 2.5 J more. There is no
 * nvmlDeviceGetMaxClockInfo, as if the driver were older. */
#include "../include/nvml_values.h"

#include <stdio.h>

#define NVML_FUNCTION(type, name, parameters) type name parameters;
#include "../include/nvml_functions.h"
#undef NVML_FUNCTION

struct nvmlDevice_st {
	unsigned bus;
	unsigned long long energy; /* mJ */
};

static struct nvmlDevice_st gpus[] = {{0x3d, 0}, {0x3c, 1000}, {0x3b, 5000}};

nvmlReturn_t nvmlInit_v2(void) { return NVML_SUCCESS; }

nvmlReturn_t nvmlShutdown(void) { return NVML_SUCCESS; }

const char *nvmlErrorString(nvmlReturn_t status) { return status == NVML_ERROR_NOT_FOUND ? "Not Found" : "other"; }

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *gpu)
{
	unsigned domain, bus, slot;
	size_t i;

	if (sscanf(id, "%x:%x:%x.0", &domain, &bus, &slot) != 3)
		return NVML_ERROR_INVALID_ARGUMENT;
	for (i = 0; i < sizeof gpus / sizeof *gpus; i++) {
		*gpu = &gpus[i];
		if (domain == 1 && !slot && bus == gpus[i].bus)
			return NVML_SUCCESS;
	}
	return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t gpu, unsigned *current, unsigned *pending)
{
	*current = *pending = gpu->bus == 0x3c ? NVML_DEVICE_MIG_ENABLE : 0;
	return gpu->bus == 0x3d ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

/* tell gives a value of those GPUs that tell. */
static nvmlReturn_t tell(nvmlDevice_t gpu, unsigned *to, unsigned value)
{
	if (gpu->bus == 0x3d)
		return NVML_ERROR_NOT_SUPPORTED;
	*to = value;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t gpu, nvmlClockType_t clock, unsigned *mhz)
{
	return clock == NVML_CLOCK_SM ? tell(gpu, mhz, gpu->bus == 0x3b ? 1410 : 1200) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t gpu, nvmlTemperatureSensors_t sensor, unsigned *celsius)
{
	return sensor == NVML_TEMPERATURE_GPU ? tell(gpu, celsius, 61) : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t gpu, unsigned *milliwatts) { return tell(gpu, milliwatts, 275500); }

nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t gpu, unsigned long long *reasons)
{
	*reasons = nvmlClocksThrottleReasonSwPowerCap | nvmlClocksThrottleReasonHwThermalSlowdown;
	return gpu->bus == 0x3d ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t gpu, unsigned long long *millijoules)
{
	*millijoules = gpu->energy += 2500;
	return gpu->bus == 0x3d ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t gpu, nvmlMemory_t *memory)
{
	*memory = (nvmlMemory_t){.total = 80000000000, .free = 77000000000, .used = 3000000000};
	return gpu->bus == 0x3d ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}
