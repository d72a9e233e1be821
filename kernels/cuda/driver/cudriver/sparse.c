//go:build gpu

/* The weight is the left factor, row-major as it is: outᵀ(n,m) = weight(n,k) · inᵀ, where inᵀ is the transpose of a row-major in, and outᵀ, column-major, is a row-major out.
 * That is the form in which PyTorch calls the library for its semi-structured linear layers. */
#include "sparse.h"

#include <dlfcn.h>

static struct {
#define SPARSE_FUNCTION(name, parameters) cusparseStatus_t(*name) parameters;
#define SPARSE_SINCE_0_8 SPARSE_FUNCTION
#include "include/cusparselt_functions.h"
#undef SPARSE_FUNCTION
#undef SPARSE_SINCE_0_8
} sparse;

const char *sparse_open(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return dlerror();
#define SPARSE_FUNCTION(name, parameters)                                      \
	if (!(*(void **)&sparse.name = dlsym(library, #name)))                 \
		return dlerror();
#define SPARSE_SINCE_0_8(name, parameters) *(void **)&sparse.name = dlsym(library, #name);
#include "include/cusparselt_functions.h"
#undef SPARSE_FUNCTION
#undef SPARSE_SINCE_0_8
	return NULL;
}

void sparse_version(int version[3])
{
	sparse.cusparseLtGetProperty(MAJOR_VERSION, &version[0]);
	sparse.cusparseLtGetProperty(MINOR_VERSION, &version[1]);
	sparse.cusparseLtGetProperty(PATCH_LEVEL, &version[2]);
}

int sparse_create(cusparseLtHandle_t *handle) { return sparse.cusparseLtInit(handle); }

int sparse_destroy(cusparseLtHandle_t *handle) { return sparse.cusparseLtDestroy(handle); }

/* MAKE keeps the first failure, and counts what was made. */
#define MAKE(status, plan, call)                                               \
	do {                                                                   \
		if (!(status) && !((status) = (call)))                         \
			(plan)->made++;                                        \
	} while (0)
#define SET(status, call)                                                      \
	do {                                                                   \
		if (!(status))                                                 \
			(status) = (call);                                     \
	} while (0)

enum { ALIGNMENT = 16 };

int sparse_begin(cusparseLtHandle_t *handle, const struct sparse_product *p, struct sparse_plan *plan)
{
	cudaDataType type = (cudaDataType)p->type;
	size_t buffer = 0, work = 0;
	int status = 0;

	plan->made = 0;
	MAKE(status, plan, sparse.cusparseLtStructuredDescriptorInit(handle, &plan->weight, p->n, p->k, p->k, ALIGNMENT, type, CUSPARSE_ORDER_ROW, CUSPARSELT_SPARSITY_50_PERCENT));
	MAKE(status, plan, sparse.cusparseLtDenseDescriptorInit(handle, &plan->in, p->m, p->k, p->k, ALIGNMENT, type, CUSPARSE_ORDER_ROW));
	MAKE(status, plan, sparse.cusparseLtDenseDescriptorInit(handle, &plan->out, p->n, p->m, p->n, ALIGNMENT, type, CUSPARSE_ORDER_COL));
	SET(status, sparse.cusparseLtMatmulDescriptorInit(handle, &plan->product, CUSPARSE_OPERATION_NON_TRANSPOSE, CUSPARSE_OPERATION_TRANSPOSE, &plan->weight, &plan->in,
		&plan->out, &plan->out, CUSPARSE_COMPUTE_32F));
	if (p->bias)
		SET(status, sparse.cusparseLtMatmulDescSetAttribute(handle, &plan->product, CUSPARSELT_MATMUL_BIAS_POINTER, &p->bias, sizeof p->bias));
	MAKE(status, plan, sparse.cusparseLtMatmulAlgSelectionInit(handle, &plan->algorithm, &plan->product, CUSPARSELT_MATMUL_ALG_DEFAULT));
	MAKE(status, plan, sparse.cusparseLtMatmulPlanInit(handle, &plan->plan, &plan->product, &plan->algorithm));
	SET(status, sparse.cusparseLtSpMMACompressedSize2(handle, &plan->weight, &plan->compressed, &buffer));
	SET(status, sparse.cusparseLtMatmulGetWorkspace(handle, &plan->plan, &work));
	plan->work = work > buffer ? work : buffer;
	return status;
}

int sparse_end(struct sparse_plan *plan)
{
	int status = 0, ended = 0;

#define END(number, call)                                                      \
	if (plan->made > (number) && (ended = (call)) && !status)              \
		status = ended;
	END(4, sparse.cusparseLtMatmulPlanDestroy(&plan->plan))
	END(3, sparse.cusparseLtMatmulAlgSelectionDestroy ? sparse.cusparseLtMatmulAlgSelectionDestroy(&plan->algorithm) : CUSPARSE_STATUS_SUCCESS)
	END(2, sparse.cusparseLtMatDescriptorDestroy(&plan->out))
	END(1, sparse.cusparseLtMatDescriptorDestroy(&plan->in))
	END(0, sparse.cusparseLtMatDescriptorDestroy(&plan->weight))
#undef END
	plan->made = 0;
	return status;
}

static void *address(uint64_t at) { return (void *)(uintptr_t)at; }

int sparse_compress(cusparseLtHandle_t *handle, const struct sparse_plan *plan, const struct sparse_product *p, uint64_t dense, void *stream)
{
	/* Of the weight's descriptor alone, so that products of any number of rows take what it makes. */
	return sparse.cusparseLtSpMMACompress2(handle, &plan->weight, 1, CUSPARSE_OPERATION_NON_TRANSPOSE, address(dense), address(p->weight), address(p->work), stream);
}

int sparse_multiply(cusparseLtHandle_t *handle, const struct sparse_plan *plan, const struct sparse_product *p, void *stream)
{
	float alpha = 1, beta = p->addend ? 1 : 0;
	cudaStream_t on = stream;

	return sparse.cusparseLtMatmul(handle, &plan->plan, &alpha, address(p->weight), address(p->in), &beta, address(p->addend ? p->addend : p->out), address(p->out),
		address(p->work), &on, 1);
}
