/* A libcusparseLt.so.0 over the stand-in's memory. It computes from the descriptors alone, in double, and takes of them only what is known to work: the left factor 2:4 sparse and
 * row-major as it is, the right one row-major and transposed, a column-major result. A compressed weight begins with its shape, and holds each kept value behind its place among
 * four, so that nothing else passes for one. A handle that is destroyed before its descriptors fails. */
#include "../include/cusparselt.h"
#include "numbers.h"
#include "standin.h"

enum { ALIVE = 0x5eed, HEADER = 16, BUFFER = 64, WORK = 128 };

struct handle {
	int alive;
};

struct matrix {
	int64_t rows, columns, ld;
	cudaDataType type;
	cusparseOrder_t order;
	int sparse;
};

struct product {
	const struct matrix *weight, *in, *out;
	uint64_t bias;
};

struct algorithm {
	const struct product *product;
};

struct plan {
	const struct product *product;
	void *held; /* heap, so that a plan that is not destroyed leaks */
};

static int live; /* descriptors and plans; the driver's tests make them one at a time */

#define BEGIN                                                                  \
	if (standin_fails(__func__))                                           \
		return CUSPARSE_STATUS_INTERNAL_ERROR;
#define HANDLE(h)                                                              \
	BEGIN                                                                  \
	if (((const struct handle *)(h))->alive != ALIVE)                      \
		return CUSPARSE_STATUS_NOT_INITIALIZED;

cusparseStatus_t cusparseLtInit(cusparseLtHandle_t *handle)
{
	BEGIN
	((struct handle *)handle)->alive = ALIVE;
	return standin_current ? CUSPARSE_STATUS_SUCCESS : CUSPARSE_STATUS_NOT_INITIALIZED;
}

cusparseStatus_t cusparseLtDestroy(const cusparseLtHandle_t *handle)
{
	HANDLE(handle)
	((struct handle *)handle)->alive = 0;
	return live ? CUSPARSE_STATUS_INTERNAL_ERROR : CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtGetProperty(libraryPropertyType type, int *value)
{
	*value = type == MINOR_VERSION ? 8 : 0;
	return CUSPARSE_STATUS_SUCCESS;
}

static cusparseStatus_t matrix(cusparseLtMatDescriptor_t *to, struct matrix m, uint32_t alignment, int multiple)
{
	if (alignment != 16 || m.rows % multiple || m.columns % multiple || m.ld < (m.order == CUSPARSE_ORDER_ROW ? m.columns : m.rows))
		return CUSPARSE_STATUS_INVALID_VALUE;
	if (m.type != CUDA_R_16F && m.type != CUDA_R_16BF)
		return CUSPARSE_STATUS_NOT_SUPPORTED;
	*(struct matrix *)to = m;
	live++;
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtDenseDescriptorInit(const cusparseLtHandle_t *handle, cusparseLtMatDescriptor_t *to, int64_t rows, int64_t columns, int64_t ld, uint32_t alignment,
	cudaDataType type, cusparseOrder_t order)
{
	HANDLE(handle)
	return matrix(to, (struct matrix){rows, columns, ld, type, order, 0}, alignment, 8);
}

cusparseStatus_t cusparseLtStructuredDescriptorInit(const cusparseLtHandle_t *handle, cusparseLtMatDescriptor_t *to, int64_t rows, int64_t columns, int64_t ld,
	uint32_t alignment, cudaDataType type, cusparseOrder_t order, cusparseLtSparsity_t sparsity)
{
	HANDLE(handle)
	if (sparsity != CUSPARSELT_SPARSITY_50_PERCENT)
		return CUSPARSE_STATUS_INVALID_VALUE;
	return matrix(to, (struct matrix){rows, columns, ld, type, order, 1}, alignment, 16);
}

cusparseStatus_t cusparseLtMatDescriptorDestroy(const cusparseLtMatDescriptor_t *m)
{
	(void)m;
	live--;
	BEGIN
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulDescriptorInit(const cusparseLtHandle_t *handle, cusparseLtMatmulDescriptor_t *to, cusparseOperation_t op_a, cusparseOperation_t op_b,
	const cusparseLtMatDescriptor_t *A, const cusparseLtMatDescriptor_t *B, const cusparseLtMatDescriptor_t *C, const cusparseLtMatDescriptor_t *D, cusparseComputeType compute)
{
	const struct matrix *a = (const struct matrix *)A, *b = (const struct matrix *)B, *d = (const struct matrix *)D;

	HANDLE(handle)
	if (op_a != CUSPARSE_OPERATION_NON_TRANSPOSE || op_b != CUSPARSE_OPERATION_TRANSPOSE || compute != CUSPARSE_COMPUTE_32F || !a->sparse || b->sparse || d->sparse || C != D ||
		a->order != CUSPARSE_ORDER_ROW || b->order != CUSPARSE_ORDER_ROW || d->order != CUSPARSE_ORDER_COL || a->type != b->type || a->type != d->type)
		return CUSPARSE_STATUS_NOT_SUPPORTED;
	if (a->columns != b->columns || a->rows != d->rows || b->rows != d->columns)
		return CUSPARSE_STATUS_INVALID_VALUE;
	*(struct product *)to = (struct product){a, b, d, 0};
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulDescSetAttribute(const cusparseLtHandle_t *handle, cusparseLtMatmulDescriptor_t *to, cusparseLtMatmulDescAttribute_t name, const void *value, size_t size)
{
	HANDLE(handle)
	if (name != CUSPARSELT_MATMUL_BIAS_POINTER || size != sizeof(void *))
		return CUSPARSE_STATUS_INVALID_VALUE;
	memcpy(&((struct product *)to)->bias, value, size);
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulAlgSelectionInit(const cusparseLtHandle_t *handle, cusparseLtMatmulAlgSelection_t *to, const cusparseLtMatmulDescriptor_t *product,
	cusparseLtMatmulAlg_t algorithm)
{
	HANDLE(handle)
	if (algorithm != CUSPARSELT_MATMUL_ALG_DEFAULT)
		return CUSPARSE_STATUS_INVALID_VALUE;
	((struct algorithm *)to)->product = (const struct product *)product;
	live++;
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulAlgSelectionDestroy(const cusparseLtMatmulAlgSelection_t *algorithm)
{
	(void)algorithm;
	live--;
	BEGIN
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulPlanInit(const cusparseLtHandle_t *handle, cusparseLtMatmulPlan_t *to, const cusparseLtMatmulDescriptor_t *product,
	const cusparseLtMatmulAlgSelection_t *algorithm)
{
	struct plan *plan = (struct plan *)to;

	HANDLE(handle)
	if (((const struct algorithm *)algorithm)->product != (const struct product *)product)
		return CUSPARSE_STATUS_INVALID_VALUE;
	plan->product = (const struct product *)product;
	plan->held = malloc(1);
	live++;
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulPlanDestroy(const cusparseLtMatmulPlan_t *plan)
{
	free(((const struct plan *)plan)->held);
	live--;
	BEGIN
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmulGetWorkspace(const cusparseLtHandle_t *handle, const cusparseLtMatmulPlan_t *plan, size_t *size)
{
	HANDLE(handle)
	(void)plan;
	*size = WORK;
	return CUSPARSE_STATUS_SUCCESS;
}

/* Bytes of a compressed weight: of each kept value, its place and itself. */
static size_t compressed(const struct matrix *m) { return HEADER + (size_t)(m->rows * m->columns / 2) * 3; }

cusparseStatus_t cusparseLtSpMMACompressedSize2(const cusparseLtHandle_t *handle, const cusparseLtMatDescriptor_t *weight, size_t *size, size_t *buffer)
{
	HANDLE(handle)
	*size = compressed((const struct matrix *)weight);
	*buffer = BUFFER;
	return CUSPARSE_STATUS_SUCCESS;
}

static void *memory(CUstream stream, const void *at, size_t n) { return standin_memory(stream->context, (CUdeviceptr)(uintptr_t)at, n); }

cusparseStatus_t cusparseLtSpMMACompress2(const cusparseLtHandle_t *handle, const cusparseLtMatDescriptor_t *weight, int left, cusparseOperation_t op, const void *dense, void *to,
	void *buffer, cudaStream_t on)
{
	const struct matrix *m = (const struct matrix *)weight;
	CUstream stream = (CUstream)on;
	const uint16_t *from = memory(stream, dense, (size_t)(m->rows * m->columns) * 2);
	uint8_t *out = memory(stream, to, compressed(m)), *put;
	int64_t i;

	HANDLE(handle)
	if (!m->sparse || left != 1 || op != CUSPARSE_OPERATION_NON_TRANSPOSE)
		return CUSPARSE_STATUS_NOT_SUPPORTED;
	if (!from || !out || !memory(stream, buffer, BUFFER))
		return CUSPARSE_STATUS_EXECUTION_FAILED;
	memcpy(out, (int64_t[]){m->rows, m->columns}, HEADER);
	put = out + HEADER;
	for (i = 0; i < m->rows * m->columns; i += 4) {
		int place, kept = 0;

		for (place = 0; place < 4; place++) {
			/* zeros fill up, as long as places are left */
			if (!(from[i + place] & 0x7fff) && 4 - place > 2 - kept)
				continue;
			if (kept++ == 2)
				return CUSPARSE_STATUS_EXECUTION_FAILED;
			*put = (uint8_t)place;
			memcpy(put + 1, &from[i + place], 2);
			put += 3;
		}
	}
	return CUSPARSE_STATUS_SUCCESS;
}

cusparseStatus_t cusparseLtMatmul(const cusparseLtHandle_t *handle, const cusparseLtMatmulPlan_t *plan, const void *alpha, const void *A, const void *B, const void *beta, const void *C,
	void *D, void *work, cudaStream_t *streams, int32_t n)
{
	const struct product *p = ((const struct plan *)plan)->product;
	int64_t rows = p->weight->rows, depth = p->weight->columns, columns = p->in->rows, i, j, k;
	CUstream stream = (CUstream)streams[0];
	const uint8_t *a = memory(stream, A, compressed(p->weight));
	const void *b = memory(stream, B, (size_t)(columns * depth) * 2), *c = memory(stream, C, (size_t)(rows * columns) * 2);
	const void *bias = p->bias ? memory(stream, (void *)(uintptr_t)p->bias, (size_t)rows * 2) : NULL;
	void *d = memory(stream, D, (size_t)(rows * columns) * 2);

	HANDLE(handle)
	if (n != 1 || !a || !b || !c || !d || (p->bias && !bias) || !memory(stream, work, WORK) || memcmp(a, (int64_t[]){rows, depth}, HEADER))
		return CUSPARSE_STATUS_EXECUTION_FAILED;
	for (j = 0; j < columns; j++) {
		for (i = 0; i < rows; i++) {
			const uint8_t *kept = a + HEADER + i * depth / 2 * 3;
			double sum = 0;

			for (k = 0; k < depth / 2; k++, kept += 3)
				sum += number_get(kept + 1, p->in->type, 0) * number_get(b, p->in->type, (size_t)(j * depth + k / 2 * 4 + *kept));
			sum *= *(const float *)alpha;
			if (*(const float *)beta != 0)
				sum += *(const float *)beta * number_get(c, p->out->type, (size_t)(j * rows + i));
			if (bias)
				sum += number_get(bias, p->out->type, (size_t)i);
			number_put(d, p->out->type, (size_t)(j * rows + i), sum);
		}
	}
	return CUSPARSE_STATUS_SUCCESS;
}
