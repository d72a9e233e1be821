/* Row-major products in cuBLASLt, which is opened at run time. */
#ifndef OFPEAK_LT_H
#define OFPEAK_LT_H

#include "include/cublaslt.h"

struct lt_product {
	int64_t m, n, k;
	uint64_t a, b, c, addend, bias, aux, scale_a, scale_b, work; /* device addresses; 0: none */
	int64_t work_size;
	int32_t trans_a, trans_b; /* a is stored (k,m), b is stored (n,k) */
	int32_t in, in_b, out;    /* cudaDataType_t */
	int32_t epilogue;         /* as driver.Epilogue */
	int32_t tf32;             /* factors may be rounded to it */
};

/* lt_open loads the library; NULL, or the loader's line. lt_version fills major, minor and patch. */
const char *lt_open(const char *name);
void lt_version(int version[3]);

/* Each returns a cublasStatus_t. lt_find asks for the fastest algorithm, lt_multiply runs it. lt_describe only makes the descriptors. */
int lt_create(cublasLtHandle_t *handle);
int lt_destroy(cublasLtHandle_t handle);
int lt_describe(const struct lt_product *p);
int lt_find(cublasLtHandle_t handle, const struct lt_product *p, cublasLtMatmulAlgo_t *algo);
int lt_multiply(cublasLtHandle_t handle, const struct lt_product *p, const cublasLtMatmulAlgo_t *algo, void *stream);

#endif
