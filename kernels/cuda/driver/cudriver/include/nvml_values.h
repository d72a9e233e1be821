/* The part of NVML's API that bench/nvml reaches through go-nvml, for the stand-in and for the abi test, which holds it against NVIDIA's headers and go-nvml's. It is not called
 * nvml.h, since go-nvml would include it for its own. */
#ifndef OFPEAK_NVML_VALUES_H
#define OFPEAK_NVML_VALUES_H

typedef enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_INVALID_ARGUMENT = 2,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NOT_FOUND = 6,
} nvmlReturn_t;

typedef enum {
	NVML_CLOCK_SM = 1,
} nvmlClockType_t;

typedef enum {
	NVML_TEMPERATURE_GPU = 0,
} nvmlTemperatureSensors_t;

#define NVML_DEVICE_MIG_ENABLE 1

/* Bits of what holds a clock down. */
#define nvmlClocksThrottleReasonGpuIdle 1
#define nvmlClocksThrottleReasonApplicationsClocksSetting 2
#define nvmlClocksThrottleReasonSwPowerCap 4
#define nvmlClocksThrottleReasonHwSlowdown 8
#define nvmlClocksThrottleReasonSyncBoost 16
#define nvmlClocksThrottleReasonSwThermalSlowdown 32
#define nvmlClocksThrottleReasonHwThermalSlowdown 64
#define nvmlClocksThrottleReasonHwPowerBrakeSlowdown 128
#define nvmlClocksThrottleReasonDisplayClockSetting 256

typedef struct nvmlDevice_st *nvmlDevice_t;

typedef struct {
	unsigned long long total, free, used; /* bytes */
} nvmlMemory_t;

#endif
