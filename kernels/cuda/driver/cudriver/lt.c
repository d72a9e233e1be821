//go:build gpu

/* cuBLASLt's matrices are column-major: a row-major C = A·B is its Cᵀ = Bᵀ·Aᵀ, so a and b change places, and so do m and n. */
#include "lt.h"

#include <dlfcn.h>

static struct {
#define LT_FUNCTION(name, parameters) cublasStatus_t(*name) parameters;
#include "include/cublaslt_functions.h"
#undef LT_FUNCTION
} lt;

const char *lt_open(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return dlerror();
#define LT_FUNCTION(name, parameters)                                                                                                                 \
	if (!(*(void **)&lt.name = dlsym(library, #name)))                                                                                                \
		return dlerror();
#include "include/cublaslt_functions.h"
#undef LT_FUNCTION
	return NULL;
}

void lt_version(int version[3])
{
	lt.cublasLtGetProperty(MAJOR_VERSION, &version[0]);
	lt.cublasLtGetProperty(MINOR_VERSION, &version[1]);
	lt.cublasLtGetProperty(PATCH_LEVEL, &version[2]);
}

int lt_create(cublasLtHandle_t *handle) { return lt.cublasLtCreate(handle); }

int lt_destroy(cublasLtHandle_t handle) { return lt.cublasLtDestroy(handle); }

/* plan is a product in cuBLASLt's words: D(n,m) = first(n,k) · second(k,m) + C. */
struct plan {
	cublasLtMatmulDesc_t product;
	cublasLtMatrixLayout_t first, second, out;
	cublasLtMatmulPreference_t preference;
};

/* set keeps the first failure. */
#define SET(status, call)                                                                                                                             \
	do {                                                                                                                                              \
		if (!(status))                                                                                                                                \
			(status) = (call);                                                                                                                        \
	} while (0)

static int layout(cublasLtMatrixLayout_t *l, int32_t type, int64_t rows, int64_t columns)
{
	return lt.cublasLtMatrixLayoutCreate(l, (cudaDataType_t)type, (uint64_t)rows, (uint64_t)columns, rows);
}

static int attribute(struct plan *plan, cublasLtMatmulDescAttributes_t name, const void *value, size_t size)
{
	return lt.cublasLtMatmulDescSetAttribute(plan->product, name, value, size);
}

static int preference(struct plan *plan, cublasLtMatmulPreferenceAttributes_t name, const void *value, size_t size)
{
	return lt.cublasLtMatmulPreferenceSetAttribute(plan->preference, name, value, size);
}

static int32_t epilogue(const struct lt_product *p)
{
	switch (p->epilogue) {
	case 1:
		return p->bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
	case 2:
		return CUBLASLT_EPILOGUE_DGELU;
	}
	return p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

static int describe(struct plan *plan, const struct lt_product *p)
{
	int32_t first = p->trans_b ? CUBLAS_OP_T : CUBLAS_OP_N, second = p->trans_a ? CUBLAS_OP_T : CUBLAS_OP_N, last = epilogue(p);
	int status = lt.cublasLtMatmulDescCreate(&plan->product, p->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F);

	SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
	SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
	SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_EPILOGUE, &last, sizeof last));
	if (p->bias)
		SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof p->bias));
	if (p->epilogue) {
		SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &p->aux, sizeof p->aux));
		SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &p->n, sizeof p->n));
	}
	if (p->scale_a) {
		SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &p->scale_b, sizeof p->scale_b));
		SET(status, attribute(plan, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &p->scale_a, sizeof p->scale_a));
	}
	SET(status, p->trans_b ? layout(&plan->first, p->in_b, p->k, p->n) : layout(&plan->first, p->in_b, p->n, p->k));
	SET(status, p->trans_a ? layout(&plan->second, p->in, p->m, p->k) : layout(&plan->second, p->in, p->k, p->m));
	SET(status, layout(&plan->out, p->out, p->n, p->m));
	return status;
}

/* alignment of an address, as far as algorithms ask for. */
static uint32_t alignment(uint64_t at) { return at % 256 ? (uint32_t)(at & -at) : 256; }

static int prefer(struct plan *plan, const struct lt_product *p)
{
	/* Partial sums are added in the type of the sums, never in a narrower output's. */
	uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_INPLACE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
	uint32_t first = alignment(p->b), second = alignment(p->a), addend = alignment(p->addend ? p->addend : p->c), out = alignment(p->c);
	size_t work = (size_t)p->work_size;
	int status = lt.cublasLtMatmulPreferenceCreate(&plan->preference);

	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &work, sizeof work));
	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes));
	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &first, sizeof first));
	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &second, sizeof second));
	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &addend, sizeof addend));
	SET(status, preference(plan, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &out, sizeof out));
	return status;
}

/* end destroys what was made, whatever fails, and keeps the first failure. */
static int end(struct plan *plan, int status)
{
	int ended;

#define END(made, destroy)                                                     \
	if ((made) && (ended = (destroy)(made)) && !status)                    \
		status = ended;
	END(plan->product, lt.cublasLtMatmulDescDestroy)
	END(plan->first, lt.cublasLtMatrixLayoutDestroy)
	END(plan->second, lt.cublasLtMatrixLayoutDestroy)
	END(plan->out, lt.cublasLtMatrixLayoutDestroy)
	END(plan->preference, lt.cublasLtMatmulPreferenceDestroy)
#undef END
	return status;
}

int lt_describe(const struct lt_product *p)
{
	struct plan plan = {0};
	int status = describe(&plan, p);

	SET(status, prefer(&plan, p));
	return end(&plan, status);
}

int lt_find(cublasLtHandle_t handle, const struct lt_product *p, cublasLtMatmulAlgo_t *algo)
{
	struct plan plan = {0};
	cublasLtMatmulHeuristicResult_t best;
	int found = 0, status = describe(&plan, p);

	SET(status, prefer(&plan, p));
	SET(status, lt.cublasLtMatmulAlgoGetHeuristic(handle, plan.product, plan.first, plan.second, plan.out, plan.out, plan.preference, 1, &best, &found));
	if (!status && !found)
		status = CUBLAS_STATUS_NOT_SUPPORTED;
	if (!status)
		*algo = best.algo;
	return end(&plan, status);
}

int lt_multiply(cublasLtHandle_t handle, const struct lt_product *p, const cublasLtMatmulAlgo_t *algo, void *stream)
{
	struct plan plan = {0};
	float alpha = 1, beta = p->addend ? 1 : 0;
	void *c = (void *)(uintptr_t)p->c, *addend = p->addend ? (void *)(uintptr_t)p->addend : c;
	int status = describe(&plan, p);

	SET(status, lt.cublasLtMatmul(handle, plan.product, &alpha, (const void *)(uintptr_t)p->b, plan.first, (const void *)(uintptr_t)p->a, plan.second,
		&beta, addend, plan.out, c, plan.out, algo, (void *)(uintptr_t)p->work, (size_t)p->work_size, stream));
	return end(&plan, status);
}
