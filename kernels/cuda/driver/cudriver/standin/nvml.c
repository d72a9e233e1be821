/* A libnvidia-ml.so.1 that knows three GPUs by their PCI addresses: at bus 3b one that tells all, at 3c one that is cut into slices (MIG), at 3d one that tells
 * nothing. The first two are where the stand-in for the driver has its devices. Values and types are those of NVIDIA's nvml.h. Each reading of the first one's
 * energy is 2.5 J more. There is no nvmlDeviceGetMaxClockInfo, as if the driver were older. */
#include <stdio.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6 };

struct gpu {
	unsigned bus;
	unsigned long long energy; /* mJ */
};

struct memory {
	unsigned long long total, free, used; /* bytes */
};

static struct gpu gpus[] = {{0x3d, 0}, {0x3c, 1000}, {0x3b, 5000}};

int nvmlInit_v2(void) { return SUCCESS; }

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int status) { return status == NOT_FOUND ? "Not Found" : "other"; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *id, struct gpu **gpu)
{
	unsigned domain, bus, slot;
	size_t i;

	if (sscanf(id, "%x:%x:%x.0", &domain, &bus, &slot) != 3)
		return INVALID_ARGUMENT;
	for (i = 0; i < sizeof gpus / sizeof *gpus; i++) {
		*gpu = &gpus[i];
		if (domain == 1 && !slot && bus == gpus[i].bus)
			return SUCCESS;
	}
	return NOT_FOUND;
}

int nvmlDeviceGetMigMode(struct gpu *gpu, unsigned *current, unsigned *pending)
{
	*current = *pending = gpu->bus == 0x3c;
	return gpu->bus == 0x3d ? NOT_SUPPORTED : SUCCESS;
}

/* tell gives a value of those GPUs that tell. */
static int tell(const struct gpu *gpu, unsigned *to, unsigned value)
{
	if (gpu->bus == 0x3d)
		return NOT_SUPPORTED;
	*to = value;
	return SUCCESS;
}

int nvmlDeviceGetClockInfo(struct gpu *gpu, int clock, unsigned *mhz) { return clock == 1 ? tell(gpu, mhz, gpu->bus == 0x3b ? 1410 : 1200) : INVALID_ARGUMENT; }

int nvmlDeviceGetTemperature(struct gpu *gpu, int sensor, unsigned *celsius) { return sensor ? INVALID_ARGUMENT : tell(gpu, celsius, 61); }

int nvmlDeviceGetPowerUsage(struct gpu *gpu, unsigned *milliwatts) { return tell(gpu, milliwatts, 275500); }

int nvmlDeviceGetCurrentClocksThrottleReasons(struct gpu *gpu, unsigned long long *reasons)
{
	*reasons = 0x4 | 0x40;
	return gpu->bus == 0x3d ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(struct gpu *gpu, unsigned long long *millijoules)
{
	*millijoules = gpu->energy += 2500;
	return gpu->bus == 0x3d ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMemoryInfo(struct gpu *gpu, struct memory *memory)
{
	*memory = (struct memory){.total = 80000000000, .free = 77000000000, .used = 3000000000};
	return gpu->bus == 0x3d ? NOT_SUPPORTED : SUCCESS;
}
