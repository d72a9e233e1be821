/* The part of cuSPARSELt's API that sparse.c calls, so that it compiles without NVIDIA's headers. The abi test holds values, sizes and signatures against theirs. */
#ifndef OFPEAK_CUSPARSELT_H
#define OFPEAK_CUSPARSELT_H

#include "cublaslt.h" /* cudaDataType_t, libraryPropertyType, cudaStream_t */

typedef cudaDataType_t cudaDataType;

typedef enum {
	CUSPARSE_STATUS_SUCCESS = 0,
	CUSPARSE_STATUS_NOT_INITIALIZED = 1,
	CUSPARSE_STATUS_ALLOC_FAILED = 2,
	CUSPARSE_STATUS_INVALID_VALUE = 3,
	CUSPARSE_STATUS_ARCH_MISMATCH = 4,
	CUSPARSE_STATUS_EXECUTION_FAILED = 6,
	CUSPARSE_STATUS_INTERNAL_ERROR = 7,
	CUSPARSE_STATUS_MATRIX_TYPE_NOT_SUPPORTED = 8,
	CUSPARSE_STATUS_NOT_SUPPORTED = 10,
} cusparseStatus_t;

typedef enum {
	CUSPARSE_OPERATION_NON_TRANSPOSE = 0,
	CUSPARSE_OPERATION_TRANSPOSE = 1,
} cusparseOperation_t;

typedef enum {
	CUSPARSE_ORDER_COL = 1,
	CUSPARSE_ORDER_ROW = 2,
} cusparseOrder_t;

typedef enum {
	CUSPARSE_COMPUTE_32F = 2,
} cusparseComputeType;

typedef enum {
	CUSPARSELT_SPARSITY_50_PERCENT = 0,
} cusparseLtSparsity_t;

typedef enum {
	CUSPARSELT_MATMUL_BIAS_POINTER = 8,
} cusparseLtMatmulDescAttribute_t;

typedef enum {
	CUSPARSELT_MATMUL_ALG_DEFAULT = 0,
} cusparseLtMatmulAlg_t;

/* The caller owns these. They have 1024 bytes up to release 0.7, 512 since. */
#define CUSPARSELT_OPAQUE                               \
	struct {                                        \
		uint8_t data[1024];                     \
	} __attribute__((aligned(16)))

typedef CUSPARSELT_OPAQUE cusparseLtHandle_t;
typedef CUSPARSELT_OPAQUE cusparseLtMatDescriptor_t;
typedef CUSPARSELT_OPAQUE cusparseLtMatmulDescriptor_t;
typedef CUSPARSELT_OPAQUE cusparseLtMatmulAlgSelection_t;
typedef CUSPARSELT_OPAQUE cusparseLtMatmulPlan_t;

#endif
