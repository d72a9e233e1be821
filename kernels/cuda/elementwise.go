package cuda

import (
	"fmt"

	"ofpeak/kernels"
)

func (s *stream) Fill(dst kernels.Tensor, v float64) {
	kernels.CheckFill(dst)
	s.dev.written(dst)
	n, at := dst.Size(), address(dst)
	switch t := dst.DType(); t {
	case kernels.F32, kernels.I32:
		s.fail(s.s.Memset32(at, uint32(pattern(t, v)), int64(n)))
	case kernels.F16, kernels.BF16:
		s.launch("elementwise", "fill_u16", s.over(n), dst, int(pattern(t, v)), n)
	case kernels.I8, kernels.U8, kernels.E4M3, kernels.E5M2:
		s.fail(s.s.Memset8(at, uint8(pattern(t, v)), int64(n)))
	default:
		s.fail(fmt.Errorf("%w: Fill of %s on CUDA", kernels.ErrUnsupported, t))
	}
}

// pattern is the bits of a value in a type of up to 4 bytes.
func pattern(t kernels.DType, v float64) uint64 {
	switch t {
	case kernels.I32:
		return uint64(uint32(int32(v)))
	case kernels.I8:
		return uint64(uint8(int8(v)))
	case kernels.U8:
		return uint64(uint8(v))
	}
	var b [8]byte
	encoder([]float64{v}, t)(b[:], 0)
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24
}

func (s *stream) Copy(dst, src kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	s.dev.written(dst)
	s.fail(s.s.Copy(address(dst), address(src), int64(dst.Size()*dst.DType().Size())))
}

func (s *stream) CopyColumns(dst, src kernels.Tensor, to, from, n int) {
	kernels.CheckCopyColumns(dst, src, to, from, n)
	s.dev.written(dst)
	t, rows, d, c := src.DType(), src.Rows(), dst.Dim(-1), src.Dim(-1)
	if suffix(t) == "" {
		s.fail(fmt.Errorf("%w: CopyColumns of %s on CUDA", kernels.ErrUnsupported, t))
		return
	}
	out, x, pack := dst.At(to, 1), src.At(from, 1), 16/t.Size()
	if n%pack == 0 && d%pack == 0 && c%pack == 0 && aligned(pack, out, x) {
		n, d, c = n/pack, d/pack, c/pack
		s.launch("elementwise", "copy_columns_packed", s.over(rows*n), out, x, rows, n, d, c)
		return
	}
	s.launch("elementwise", fmt.Sprintf("copy_columns_u%d", 8*t.Size()), s.over(rows*n), out, x, rows, n, d, c)
}

func (s *stream) Cast(dst, src kernels.Tensor) {
	kernels.CheckCast(dst, src)
	s.dev.written(dst)
	d, from, n, file := castable(dst.DType()), castable(src.DType()), src.Size(), "elementwise"
	if dst.DType().Size() == 1 || src.DType().Size() == 1 {
		file = "float8"
	}
	switch {
	case d == "" || from == "":
		s.fail(fmt.Errorf("%w: Cast of %s to %s on CUDA", kernels.ErrUnsupported, src.DType(), dst.DType()))
	case d == from:
		s.fail(s.s.Copy(address(dst), address(src), int64(n*dst.DType().Size())))
	case n%4 == 0 && aligned(4, dst, src):
		s.launch(file, "cast_"+d+"_"+from+"_packed", s.over(n/4), dst, src, n)
	default:
		s.launch(file, "cast_"+d+"_"+from, s.over(n), dst, src, n)
	}
}

func (s *stream) Add(out, x, bias, residual kernels.Tensor) {
	kernels.CheckAdd(out, x, bias, residual)
	s.dev.written(out)
	t, n, c := x.DType(), x.Size(), x.Dim(-1)
	if suffix(t) == "" {
		s.fail(fmt.Errorf("%w: Add of %s on CUDA", kernels.ErrUnsupported, t))
		return
	}
	pack := 16 / t.Size()
	if c%pack == 0 && aligned(pack, out, x, bias, residual) {
		s.launch("elementwise", "add_"+suffix(t)+"_packed", s.over(n/pack), out, x, bias, residual, n, c)
		return
	}
	s.launch("elementwise", "add_"+suffix(t), s.over(n), out, x, bias, residual, n, c)
}
