/* Every function that standin.c does not define: not supported. */
#define CUDA_FUNCTION(name, parameters) __attribute__((weak)) int name(void) { return 801; }
#include "../include/cuda_functions.h"
