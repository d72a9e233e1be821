/* A libcuda to link against where there is no driver. It goes by the name of a library that every process can have and that has none of its functions: which
 * library they come from is left to run time, when start.c opens the driver's. */
#define CUDA_FUNCTION(name, parameters) int name(void) { return 34; }
#include "../include/cuda_functions.h"
