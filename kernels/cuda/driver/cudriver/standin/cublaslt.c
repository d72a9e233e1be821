/* A libcublasLt.so.12 over the stand-in's memory. It proves that descriptors say what was meant: it computes from them alone, in double. Like cuBLASLt it
 * refuses a matrix of GELU's inputs whose rows are no multiple of 8, and an epilogue that it was not told an address for. A handle that is destroyed before its descriptors fails. */
#include "numbers.h"
#include "standin.h"

#include <math.h>

static int live; /* descriptors, layouts and preferences; the driver's tests make them one at a time */

/* Start of each function; of those that destroy, behind what they do. */
#define BEGIN                                                                  \
	if (standin_fails(__func__))                                           \
		return CUBLAS_STATUS_INTERNAL_ERROR;

struct layout {
	cudaDataType_t type;
	int64_t rows, columns, ld;
};

struct product {
	int32_t transposed[2], epilogue, tf32;
	uint64_t bias, aux, scale[2];
	int64_t aux_ld;
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
	BEGIN
	*handle = malloc(1);
	return standin_current ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
	free(handle);
	BEGIN
	return live ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtGetProperty(libraryPropertyType type, int *value)
{
	*value = type == MAJOR_VERSION ? 12 : 0;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale)
{
	struct product *p;

	BEGIN
	live++;
	p = calloc(1, sizeof(cublasLtMatmulDescOpaque_t));
	p->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
	p->tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
	*desc = (cublasLtMatmulDesc_t)p;
	return (compute == CUBLAS_COMPUTE_32F || p->tf32) && scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
	free(desc);
	live--;
	BEGIN
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t take(void *to, size_t expected, const void *value, size_t size)
{
	if (size != expected)
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy(to, value, size);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void *value, size_t size)
{
	struct product *p = (struct product *)desc;

	BEGIN
	switch (name) {
	case CUBLASLT_MATMUL_DESC_TRANSA:
		return take(&p->transposed[0], 4, value, size);
	case CUBLASLT_MATMUL_DESC_TRANSB:
		return take(&p->transposed[1], 4, value, size);
	case CUBLASLT_MATMUL_DESC_EPILOGUE:
		return take(&p->epilogue, 4, value, size);
	case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
		return take(&p->bias, 8, value, size);
	case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
		return take(&p->aux, 8, value, size);
	case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
		return take(&p->aux_ld, 8, value, size);
	case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER:
		return take(&p->scale[0], 8, value, size);
	case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER:
		return take(&p->scale[1], 8, value, size);
	}
	return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType_t type, uint64_t rows, uint64_t columns, int64_t ld)
{
	struct layout *m;

	BEGIN
	live++;
	m = calloc(1, sizeof(cublasLtMatrixLayoutOpaque_t));
	*m = (struct layout){type, (int64_t)rows, (int64_t)columns, ld};
	*l = (cublasLtMatrixLayout_t)m;
	return ld >= (int64_t)rows ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
	free(l);
	live--;
	BEGIN
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
	BEGIN
	live++;
	*preference = calloc(1, sizeof **preference);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
	free(preference);
	live--;
	BEGIN
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name, const void *value,
	size_t size)
{
	BEGIN
	return take(&preference->data[0], name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4, value, size);
}

static int is_float8(cudaDataType_t type) { return type == CUDA_R_8F_E4M3 || type == CUDA_R_8F_E5M2; }

/* Whether there is a kernel for the types of two factors: of 8-bit floats for the first transposed, the second as it is, rows of multiples of 16, not for two e5m2, to
 * 16 or 32 bits, and GELU only apart; of all others where both are the same. */
static int factors_fit(const struct product *p, const struct layout *a, const struct layout *b, const struct layout *d)
{
	if (!is_float8(a->type) || !is_float8(b->type))
		return a->type == b->type && !p->scale[0] && !p->scale[1];
	return p->transposed[0] && !p->transposed[1] && a->rows % 16 == 0 && a->columns % 16 == 0 && b->columns % 16 == 0 && d->rows % 16 == 0 &&
		(a->type == CUDA_R_8F_E4M3 || b->type == CUDA_R_8F_E4M3) && number_size(d->type) > 1 && p->epilogue < CUBLASLT_EPILOGUE_GELU_AUX;
}

/* The scales of two factors, multiplied; 0 where one of 8-bit floats has none. */
static double scales(CUstream stream, const struct product *p, const struct layout *a)
{
	double scale = 1;
	int i;

	for (i = 0; i < 2 && is_float8(a->type); i++) {
		const float *at = p->scale[i] ? standin_memory(stream->context, (CUdeviceptr)p->scale[i], sizeof *at) : NULL;

		scale *= at ? *at : 0;
	}
	return scale;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
	cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int asked, cublasLtMatmulHeuristicResult_t *best, int *found)
{
	const struct product *p = (const struct product *)desc;

	BEGIN
	(void)handle, (void)c, (void)preference, (void)asked;
	*found = 0;
	if (p->aux && p->aux_ld % 8)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (!factors_fit(p, (const struct layout *)a, (const struct layout *)b, (const struct layout *)d))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	memset(best, 0, sizeof *best);
	best->algo.data[0] = 42;
	*found = 1;
	return CUBLAS_STATUS_SUCCESS;
}

/* factor is x as a product takes it. */
static double factor(const struct product *p, double x)
{
	float v = (float)x;
	uint32_t bits;

	if (!p->tf32)
		return x;
	memcpy(&bits, &v, sizeof v);
	bits = (bits + 0x1000) & ~0x1fffu;
	memcpy(&v, &bits, sizeof v);
	return v;
}

static double last(const struct product *p, double v, void *aux, cudaDataType_t type, int64_t i)
{
	const double r = sqrt(2 / M_PI), c = 0.044715;
	double t, x = v;

	if (p->epilogue == CUBLASLT_EPILOGUE_GELU_AUX || p->epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS) {
		number_put(aux, type, i, v);
		return v / 2 * (1 + tanh(r * (v + c * v * v * v)));
	}
	if (p->epilogue != CUBLASLT_EPILOGUE_DGELU)
		return v;
	x = number_get(aux, type, i);
	t = tanh(r * (x + c * x * x * x));
	return v * ((1 + t) / 2 + x / 2 * (1 - t * t) * r * (1 + 3 * c * x * x));
}

/* memory of a matrix, NULL where it is not all allocated. */
static void *memory(CUstream stream, const void *at, const struct layout *m)
{
	return standin_memory(stream->context, (CUdeviceptr)(uintptr_t)at, number_size(m->type) * (size_t)(m->ld * (m->columns - 1) + m->rows));
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A, cublasLtMatrixLayout_t Adesc, const void *B,
	cublasLtMatrixLayout_t Bdesc, const void *beta, const void *C, cublasLtMatrixLayout_t Cdesc, void *D, cublasLtMatrixLayout_t Ddesc,
	const cublasLtMatmulAlgo_t *algo, void *workspace, size_t work, cudaStream_t on)
{
	const struct product *p = (const struct product *)desc;
	const struct layout *a = (const struct layout *)Adesc, *b = (const struct layout *)Bdesc, *d = (const struct layout *)Ddesc;
	const struct layout bias_layout = {d->type, d->rows, 1, d->rows}, aux_layout = {d->type, d->rows, d->columns, p->aux_ld};
	CUstream stream = (CUstream)on;
	void *ma = memory(stream, A, a), *mb = memory(stream, B, b), *mc = memory(stream, C, (const struct layout *)Cdesc), *md = memory(stream, D, d);
	void *bias = p->bias ? memory(stream, (void *)(uintptr_t)p->bias, &bias_layout) : NULL;
	void *aux = p->aux ? memory(stream, (void *)(uintptr_t)p->aux, &aux_layout) : NULL;
	int64_t depth = p->transposed[0] ? a->rows : a->columns, i, j, l;
	double scale = scales(stream, p, a);
	int needs_bias = p->epilogue == CUBLASLT_EPILOGUE_BIAS || p->epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;

	BEGIN
	(void)handle;
	if (algo->data[0] != 42 || scale == 0 || !factors_fit(p, a, b, d) || !ma || !mb || !mc || !md || needs_bias != !!bias || (p->epilogue >= CUBLASLT_EPILOGUE_GELU_AUX) != !!aux)
		return CUBLAS_STATUS_EXECUTION_FAILED;
	if (!standin_memory(stream->context, (CUdeviceptr)(uintptr_t)workspace, work) || depth != (p->transposed[1] ? b->columns : b->rows))
		return CUBLAS_STATUS_INVALID_VALUE;
	for (j = 0; j < d->columns; j++) {
		for (i = 0; i < d->rows; i++) {
			double sum = 0, v;

			for (l = 0; l < depth; l++)
				sum += factor(p, number_get(ma, a->type, p->transposed[0] ? i * a->ld + l : l * a->ld + i)) *
					factor(p, number_get(mb, b->type, p->transposed[1] ? l * b->ld + j : j * b->ld + l));
			v = *(const float *)alpha * scale * sum;
			if (*(const float *)beta != 0)
				v += *(const float *)beta * number_get(mc, d->type, j * d->ld + i);
			if (bias)
				v += number_get(bias, d->type, i);
			number_put(md, d->type, j * d->ld + i, last(p, v, aux, d->type, j * p->aux_ld + i));
		}
	}
	return CUBLAS_STATUS_SUCCESS;
}
