/* Row-major products with a 2:4 sparse weight in cuSPARSELt, which is opened at run time. */
#ifndef OFPEAK_SPARSE_H
#define OFPEAK_SPARSE_H

#include "include/cusparselt.h"

/* out(m,n) = in(m,k) · weight(n,k)ᵀ + addend + bias */
struct sparse_product {
	int64_t m, n, k;
	uint64_t in, weight, out, addend, bias, work; /* device addresses; 0: none. weight as sparse_compress leaves it */
	int32_t type;                                 /* cudaDataType_t of all */
};

/* A product's descriptors, and how many bytes a compressed weight takes, and memory to work in. */
struct sparse_plan {
	cusparseLtMatDescriptor_t weight, in, out;
	cusparseLtMatmulDescriptor_t product;
	cusparseLtMatmulAlgSelection_t algorithm;
	cusparseLtMatmulPlan_t plan;
	int made; /* of these, in their order */
	size_t compressed, work;
};

/* sparse_open loads the library; NULL, or the loader's line. sparse_version fills major, minor and patch. */
const char *sparse_open(const char *name);
void sparse_version(int version[3]);

/* Each returns a cusparseStatus_t. A plan's addresses but the bias do not matter. It lies where it was made until sparse_end, which takes what is left of one that failed too. */
int sparse_create(cusparseLtHandle_t *handle);
int sparse_destroy(cusparseLtHandle_t *handle);
int sparse_begin(cusparseLtHandle_t *handle, const struct sparse_product *p, struct sparse_plan *plan);
int sparse_end(struct sparse_plan *plan);
int sparse_compress(cusparseLtHandle_t *handle, const struct sparse_plan *plan, const struct sparse_product *p, uint64_t dense, void *stream);
int sparse_multiply(cusparseLtHandle_t *handle, const struct sparse_plan *plan, const struct sparse_product *p, void *stream);

#endif
