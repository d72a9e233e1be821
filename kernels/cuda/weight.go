package cuda

import "ofpeak/kernels"

func (s *stream) Encode(w kernels.Weight, dense kernels.Tensor) {
	kernels.CheckEncode(w, dense)
	values := w.Values.DType()
	if w.Format == kernels.Int8 {
		values = w.Scale.DType()
	}
	if !s.supported(kernels.OpLinear, values, w.Format) {
		return
	}
	s.dev.written(w.Values)
	t := suffix(values)
	switch w.Format {
	case kernels.Dense:
		s.Cast(w.Values, dense)
	case kernels.Sparse24:
		s.launch("weight", "encode_pairs_"+t, s.over(w.Meta.Size()), w.Values, w.Meta, dense, w.Meta.Size())
	case kernels.BlockSparse:
		count, keep := w.C/w.Block, w.KeepBlocks(w.C)
		const perBlock = 8 + 4 // a norm and whether it is kept
		s.launch("weight", "choose_blocks", shape{gridX: w.OC / w.Block, threads: rowThreads(count), shared: perBlock * count}, w.Meta, dense, w.C, w.Block, keep)
		s.launch("weight", "encode_blocks_"+t, s.over(w.Values.Size()), w.Values, w.Meta, dense, w.Values.Size(), w.C, w.Block, keep)
	case kernels.Int8:
		s.launch("weight", "encode_int8", shape{gridX: w.OC, threads: rowThreads(w.C)}, w.Values, w.Scale, dense, w.C)
	}
}

func (s *stream) Decode(dense kernels.Tensor, w kernels.Weight) {
	kernels.CheckDecode(dense, w)
	if !s.supported(kernels.OpLinear, dense.DType(), w.Format) {
		return
	}
	d := suffix(dense.DType())
	switch w.Format {
	case kernels.Dense:
		s.Cast(dense, w.Values)
	case kernels.Sparse24:
		s.launch("weight", "decode_pairs_"+d+"_"+suffix(w.Values.DType()), s.over(w.Meta.Size()), dense, w.Values, w.Meta, w.Meta.Size())
	case kernels.BlockSparse:
		s.Fill(dense, 0)
		s.launch("weight", "decode_blocks_"+d+"_"+suffix(w.Values.DType()), s.over(w.Values.Size()), dense, w.Values, w.Meta, w.Values.Size(),
			w.C, w.Block, w.KeepBlocks(w.C))
	case kernels.Int8:
		s.launch("weight", "decode_int8_"+d, s.over(dense.Size()), dense, w.Values, w.Scale, dense.Size(), w.C)
	}
}
