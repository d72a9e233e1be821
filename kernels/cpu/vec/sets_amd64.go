package vec

import (
	"unsafe"

	"ofpeak/kernels/cpu/isa"
)

var sets = []*Set{
	portable,
	{level: isa.AVX2, f: funcs{
		add: addAVX2, mul: mulAVX2, geluGrad: geluGradAVX2, scale: scaleAVX2, axpy: axpyAVX2, gelu: geluAVX2,
		sum: sumAVX2, max: maxAVX2, absMax: absMaxAVX2, finite: finiteAVX2, dot: dotAVX2, sumSqDev: sumSqDevAVX2,
		expSum: expSumAVX2, softmax: softmaxAVX2, softmaxGrad: softmaxGradAVX2,
		normalize: normalizeAVX2, normSums: normSumsAVX2, normGrad: normGradAVX2, sqDiff: sqDiffAVX2,
		adamW:   func(w, m, v, g []float32, c *AdamW) { adamWAVX2(w, m, v, g, (*[9]float32)(unsafe.Pointer(c))) },
		round:   func(dst, x []float32, r *Rounding) { roundAVX2(dst, x, (*[4]float32)(unsafe.Pointer(r))) },
		fromF16: wholeVectors(8, fromF16AVX2, fromF16), fromBF16: wholeVectors(8, fromBF16AVX2, fromBF16),
		toF16: wholeVectors(8, toF16AVX2, toF16), toBF16: wholeVectors(8, toBF16AVX2, toBF16),
		quantize: wholeQuantize(8, quantizeAVX2), transpose: transposeAVX2, panel: panelAVX2,
		gatherF32: gatherF32AVX2, gatherF16: gatherF16AVX2, gatherBF16: gatherBF16AVX2,
		scatterF32: scatterF32AVX2, scatterF16: scatterF16AVX2, scatterBF16: scatterBF16AVX2, weave: weaveAVX2,
	}},
	{level: isa.AVX512, f: funcs{
		add: addAVX512, mul: mulAVX512, geluGrad: geluGradAVX512, scale: scaleAVX512, axpy: axpyAVX512, gelu: geluAVX512,
		sum: sumAVX512, max: maxAVX512, absMax: absMaxAVX512, finite: finiteAVX512, dot: dotAVX512, sumSqDev: sumSqDevAVX512,
		expSum: expSumAVX512, softmax: softmaxAVX512, softmaxGrad: softmaxGradAVX512,
		normalize: normalizeAVX512, normSums: normSumsAVX512, normGrad: normGradAVX512, sqDiff: sqDiffAVX512,
		adamW:   func(w, m, v, g []float32, c *AdamW) { adamWAVX512(w, m, v, g, (*[9]float32)(unsafe.Pointer(c))) },
		round:   func(dst, x []float32, r *Rounding) { roundAVX512(dst, x, (*[4]float32)(unsafe.Pointer(r))) },
		fromF16: wholeVectors(16, fromF16AVX512, fromF16), fromBF16: wholeVectors(16, fromBF16AVX512, fromBF16),
		toF16: wholeVectors(16, toF16AVX512, toF16), toBF16: wholeVectors(16, fastestToBF16(), toBF16),
		quantize: wholeQuantize(16, quantizeAVX512), transpose: transposeAVX512, panel: panelAVX512,
		gatherF32: gatherF32AVX512, gatherF16: gatherF16AVX512, gatherBF16: gatherBF16AVX512,
		scatterF32: scatterF32AVX512, scatterF16: scatterF16AVX512, scatterBF16: scatterBF16AVX512, weave: weaveAVX512,
		panelBF16: panelBF16AVX512, softmaxBF16: softmaxBF16AVX512, scoreGradBF16: scoreGradBF16AVX512,
	}},
}

// wholeVectors leaves what does not fill a vector to portable Go.
func wholeVectors[D, S float32 | uint16](lanes int, vectors, rest func(dst []D, x []S)) func(dst []D, x []S) {
	return func(dst []D, x []S) {
		n := len(dst) &^ (lanes - 1)
		vectors(dst[:n], x)
		if n < len(dst) {
			rest(dst[n:], x[n:])
		}
	}
}

func wholeQuantize(lanes int, vectors func(dst []int8, x []float32, inv float32)) func(dst []int8, x []float32, inv float32) {
	return func(dst []int8, x []float32, inv float32) {
		n := len(dst) &^ (lanes - 1)
		vectors(dst[:n], x, inv)
		quantize(dst[n:], x[n:], inv)
	}
}

func fastestToBF16() func(dst []uint16, x []float32) {
	if isa.BF16() {
		return toBF16NativeAVX512
	}
	return toBF16AVX512
}
