/* Elements of matrices and buffers, as numbers. */
#ifndef STANDIN_NUMBERS_H
#define STANDIN_NUMBERS_H

#include "../include/cublaslt.h"

#include <math.h>
#include <string.h>

static inline size_t number_size(cudaDataType_t type)
{
	switch (type) {
	case CUDA_R_64F:
		return 8;
	case CUDA_R_32F:
	case CUDA_R_32I:
		return 4;
	case CUDA_R_8I:
	case CUDA_R_8U:
	case CUDA_R_8F_E4M3:
	case CUDA_R_8F_E5M2:
		return 1;
	default:
		return 2;
	}
}

/* An 8-bit float of so many fraction bits: e4m3 has no infinity, and a NaN in the place of its largest value. */
static inline double number_float8(uint8_t bits, int fraction)
{
	int bias = fraction == 3 ? 7 : 15, exponent = (bits & 0x7f) >> fraction, digits = bits & ((1 << fraction) - 1);
	double v = exponent ? ldexp((1 << fraction) + digits, exponent - bias - fraction) : ldexp(digits, 1 - bias - fraction);

	if (fraction == 3 ? (bits & 0x7f) == 0x7f : exponent == 31)
		v = fraction == 2 && !digits ? INFINITY : NAN;
	return bits & 0x80 ? -v : v;
}

static inline double number_get(const void *m, cudaDataType_t type, size_t i)
{
	uint32_t bits;
	float v;

	switch (type) {
	case CUDA_R_64F:
		return ((const double *)m)[i];
	case CUDA_R_32F:
		return ((const float *)m)[i];
	case CUDA_R_32I:
		return ((const int32_t *)m)[i];
	case CUDA_R_16F:
		return (double)((const _Float16 *)m)[i];
	case CUDA_R_8I:
		return ((const int8_t *)m)[i];
	case CUDA_R_8U:
		return ((const uint8_t *)m)[i];
	case CUDA_R_8F_E4M3:
		return number_float8(((const uint8_t *)m)[i], 3);
	case CUDA_R_8F_E5M2:
		return number_float8(((const uint8_t *)m)[i], 2);
	default: /* bfloat16 */
		bits = (uint32_t)((const uint16_t *)m)[i] << 16;
		memcpy(&v, &bits, sizeof v);
		return v;
	}
}

static inline void number_put(void *m, cudaDataType_t type, size_t i, double x)
{
	float v = (float)x;
	uint32_t bits;

	switch (type) {
	case CUDA_R_64F:
		((double *)m)[i] = x;
		break;
	case CUDA_R_32F:
		((float *)m)[i] = v;
		break;
	case CUDA_R_32I:
		((int32_t *)m)[i] = (int32_t)x;
		break;
	case CUDA_R_16F:
		((_Float16 *)m)[i] = (_Float16)v;
		break;
	case CUDA_R_8I:
		((int8_t *)m)[i] = (int8_t)(int)x;
		break;
	case CUDA_R_8U:
		((uint8_t *)m)[i] = (uint8_t)(int)x;
		break;
	default:
		memcpy(&bits, &v, sizeof v);
		((uint16_t *)m)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
	}
}

#endif
