package block

import (
	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// init sets the initial parameters and the loss-scale state. Sparse weights are pruned from the dense initial values at full precision, so that every
// precision keeps the same positions.
func (st *Stage) init(s kernels.Stream) error {
	state := make([]float64, kernels.StateLen)
	state[kernels.StateScale] = 1
	if st.Precision.ScaleLoss {
		state[kernels.StateScale] = kernels.InitialScale
	}
	s.Upload(st.State, tensor.New(tensor.WithShape(kernels.StateLen), tensor.WithBacking(state)))

	scratch := heap{dev: st.dev}
	defer scratch.free()
	largest := 0
	for _, p := range st.Params {
		largest = max(largest, p.OC*p.C)
	}
	dense := scratch.tensor(st.Precision.Stats, largest)
	if scratch.err != nil {
		return scratch.err
	}
	weights := st.sparseWeights()
	for i, p := range st.Params {
		host := make([]float64, p.OC*p.C)
		for j := range host {
			host[j] = p.Init(st.Seed, j)
		}
		d := dense.At(0, p.OC, p.C)
		s.Upload(d, tensor.New(tensor.WithShape(p.OC, p.C), tensor.WithBacking(host)))
		if w, ok := weights[i]; ok && w.Format != kernels.Dense {
			if w.Format != kernels.Int8 {
				w.Values = st.Master.At(p.Off, p.Len)
			}
			s.Encode(w, d)
		} else {
			s.Cast(st.Master.At(p.Off, p.Len), d.Reshape(p.Len))
		}
		if err := s.Sync(); err != nil {
			return err
		}
	}
	if st.Master.Buf != st.Weights.Buf && st.size > 0 {
		s.Cast(st.Weights, st.Master)
	}
	return s.Sync()
}

// sparseWeights are the blocks' matrices by parameter index.
func (st *Stage) sparseWeights() map[int]kernels.Weight {
	weights := map[int]kernels.Weight{}
	var all []kernels.Weight
	for _, t := range st.blocks {
		all = append(all, t.qkv.w, t.proj.w, t.fc.w, t.out.w)
	}
	for i, p := range st.Params {
		if p.sparse {
			weights[i], all = all[0], all[1:]
		}
	}
	return weights
}

// Read downloads a parameter's values in an arena (Weights, Master, Grads, M or V) as the dense matrix it stands for, row by row.
func (st *Stage) Read(s kernels.Stream, i int, arena kernels.Tensor) ([]float64, error) {
	p, scratch := st.Params[i], heap{dev: st.dev}
	defer scratch.free()
	values := kernels.Tensor{}
	if w, ok := st.sparseWeights()[i]; ok && w.Format != kernels.Dense {
		if w.Format != kernels.Int8 {
			w.Values = arena.At(p.Off, p.Len)
		}
		t := st.Precision.Stats
		if w.Format != kernels.Int8 {
			t = arena.DType()
		}
		values = scratch.tensor(t, p.OC, p.C)
		if scratch.err != nil {
			return nil, scratch.err
		}
		s.Decode(values, w)
	} else {
		values = arena.At(p.Off, p.OC, p.C)
	}
	host := make([]float64, p.OC*p.C)
	err := s.Download(tensor.New(tensor.WithShape(p.OC, p.C), tensor.WithBacking(host)), values)
	return host, err
}
