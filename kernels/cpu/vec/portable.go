package vec

import (
	"math"
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/isa"
)

// portable is the set that defines the others.
var portable = &Set{level: isa.Go, f: funcs{
	add: add, mul: mul, geluGrad: geluGrad, scale: scale, axpy: axpy, gelu: gelu,
	sum: sum, max: maxOf, absMax: absMax, finite: finite, dot: dot, sumSqDev: sumSqDev,
	expSum: expSum, softmax: softmax, softmaxGrad: softmaxGrad, normalize: normalize, normSums: normSums, normGrad: normGrad,
	sqDiff: sqDiff, adamW: adamW, round: round, fromF16: fromF16, fromBF16: fromBF16, toF16: toF16, toBF16: toBF16,
	quantize: quantize, transpose: transpose, panel: panel,
	gatherF32: eachRow(copyRow), gatherF16: eachRow(fromF16), gatherBF16: eachRow(fromBF16),
	scatterF32: eachRow(copyRow), scatterF16: eachRow(toF16), scatterBF16: eachRow(toBF16), weave: weave,
}}

func add(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

func mul(dst, x, y []float32) {
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func scale(dst, x []float32, a float32) {
	for i := range dst {
		dst[i] = a * x[i]
	}
}

func axpy(dst, x []float32, a float32) {
	for i := range dst {
		dst[i] += a * x[i]
	}
}

// The tanh form of GELU is x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), because 1 + tanh(u) = 2·σ(2u). Clamping x keeps x³ finite:
// at ±geluBound σ is 0 or 1 in float32, and at ±slopeBound the derivative is, while e^(-2u) is still finite.
const (
	geluBound  = 12
	slopeBound = 10
	geluLinear = 2 * 0.7978845608028654
	geluCubic  = geluLinear * 0.044715
)

func gelu(dst, x []float32) {
	for i := range dst {
		s, _ := sigmoid(clamp(x[i], geluBound))
		dst[i] = x[i] * s
	}
}

func geluGrad(dst, dout, x []float32) {
	for i := range dst {
		c := clamp(x[i], slopeBound)
		s, e := sigmoid(c)
		dst[i] = dout[i] * (s + s*s*e*c*(geluLinear+3*geluCubic*c*c)) // s·e is 1-s without cancellation
	}
}

// sigmoid is σ(2u) and e^(-2u) at x.
func sigmoid(x float32) (s, e float32) {
	e = exp(-x * (geluLinear + geluCubic*x*x))
	return 1 / (1 + e), e
}

func clamp(x, bound float32) float32 { return max(-bound, min(bound, x)) }

func sum(x []float32) float32 {
	var s float32
	for _, v := range x {
		s += v
	}
	return s
}

func maxOf(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		m = max(m, v)
	}
	return m
}

func absMax(x []float32) float32 {
	var m float32
	for _, v := range x {
		m = max(m, v, -v)
	}
	return m
}

func finite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}

func dot(x, y []float32) float32 {
	var s float32
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

func sumSqDev(x []float32, mean float32) float32 {
	var s float32
	for _, v := range x {
		s += (v - mean) * (v - mean)
	}
	return s
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func expSum(dst, x []float32, scale, shift float32) float32 {
	var s float32
	for i := range dst {
		dst[i] = exp(scale*x[i] - shift)
		s += dst[i]
	}
	return s
}

func softmax(x []float32, scale, top float32) (newTop, sum float32) {
	if m := scale * maxOf(x); m > top+Slack {
		top = m
	}
	return top, expSum(x, x, scale, top)
}

func softmaxGrad(dst, p, dp []float32, d, scale float32) {
	for i := range dst {
		dst[i] = scale * p[i] * (dp[i] - d)
	}
}

func normalize(dst, x, gain, bias []float32, mean, rstd float32) {
	for i := range dst {
		dst[i] = (x[i]-mean)*rstd*gain[i] + bias[i]
	}
}

func normSums(dout, x, gain []float32, mean, rstd float32) (a, b float32) {
	for i := range dout {
		g := dout[i] * gain[i]
		a += g
		b += g * (x[i] - mean) * rstd
	}
	return a, b
}

func normGrad(dx, dgain, dbias, dout, x, gain []float32, mean, rstd, a, b float32) {
	for i := range dx {
		d, h := dout[i], (x[i]-mean)*rstd
		dgain[i] += d * h
		dbias[i] += d
		dx[i] = rstd * (d*gain[i] - a - h*b)
	}
}

func sqDiff(dst, x, y []float32, scale float32) float32 {
	var s float32
	for i := range dst {
		d := x[i] - y[i]
		dst[i] = scale * d
		s += d * d
	}
	return s
}

func adamW(w, m, v, g []float32, c *AdamW) {
	for i := range w {
		d := c.GradScale * g[i]
		m[i] = c.Beta1*m[i] + c.OneBeta1*d
		v[i] = c.Beta2*v[i] + c.OneBeta2*d*d
		root := float32(math.Sqrt(float64(v[i])))
		w[i] -= c.Step*m[i]/(root*c.VScale+c.Eps) + c.Decay*w[i]
	}
}

func fromF16(dst []float32, x []uint16) {
	for i := range dst {
		dst[i] = kernels.F32FromF16(x[i])
	}
}

func fromBF16(dst []float32, x []uint16) {
	for i := range dst {
		dst[i] = kernels.F32FromBF16(x[i])
	}
}

func toF16(dst []uint16, x []float32) {
	for i := range dst {
		dst[i] = kernels.F16FromF32(x[i])
	}
}

func toBF16(dst []uint16, x []float32) {
	for i := range dst {
		dst[i] = kernels.BF16FromF32(x[i])
	}
}

func quantize(dst []int8, x []float32, inv float32) {
	for i := range dst {
		dst[i] = int8(max(-127, min(127, math.RoundToEven(float64(x[i]*inv)))))
	}
}

func copyRow(dst, x []float32) { copy(dst, x) }

func eachRow[D, S float32 | uint16](row func(dst []D, x []S)) func(dst *D, pitch int, src *S, stride, rows, n int) {
	return func(dst *D, pitch int, src *S, stride, rows, n int) {
		for i := range rows {
			row(unsafe.Slice(at(dst, i*pitch), n), unsafe.Slice(at(src, i*stride), n))
		}
	}
}

func weave(dst *float32, pitch int, src *uint16, stride, rows, n int) {
	for i := range rows {
		weaveRow(unsafe.Slice(at(dst, i*pitch), n), unsafe.Slice(at(src, 2*i*stride), n), unsafe.Slice(at(src, (2*i+1)*stride), n))
	}
}

// weaveRow pairs two rows; without high its values are zeros.
func weaveRow(dst []float32, low, high []uint16) {
	for i := range dst {
		bits := uint32(low[i])
		if high != nil {
			bits |= uint32(high[i]) << 16
		}
		dst[i] = math.Float32frombits(bits)
	}
}

func transpose(dst *float32, ldd int, src *float32, lds, rows, cols int) {
	for i := range rows {
		for j, v := range unsafe.Slice(at(src, i*lds), cols) {
			*at(dst, j*ldd+i) = v
		}
	}
}

func panel(c *float32, ldc int, a *float32, ars, acs int, b *float32, ldb, n, k int, add bool) {
	for i := range PanelRows {
		row := unsafe.Slice(at(c, i*ldc), n)
		if !add {
			clear(row)
		}
		for l := range k {
			axpy(row, unsafe.Slice(at(b, l*ldb), n), *at(a, i*ars+l*acs))
		}
	}
}

// at is the address of element i of an array.
func at[T float32 | uint16](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), int(unsafe.Sizeof(*p))*i))
}
