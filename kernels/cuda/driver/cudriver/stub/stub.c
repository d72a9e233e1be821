/* A libcuda to link against where there is no driver. At run time the loader takes the driver's libcuda.so.1 in its place; whoever runs this one
 * by mistake gets CUDA_ERROR_STUB_LIBRARY from every call. */
#define CUDA_FUNCTION(name, parameters) int name(void) { return 34; }
#include "../include/cuda_functions.h"
