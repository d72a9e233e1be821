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
	largest, longest := 0, 0
	for _, p := range st.Params {
		largest = max(largest, p.OC*p.C)
		if p.sparse && st.Layout.Format != kernels.Dense {
			longest = max(longest, p.Len)
		}
	}
	dense, packed := scratch.tensor(st.Precision.Stats, largest), scratch.tensor(st.Precision.Master, longest)
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
		values := d.Reshape(p.OC * p.C)
		if w, ok := weights[i]; ok {
			if w.Format != kernels.Int8 {
				values = packed.At(0, p.Len)
				w.Values = values
			}
			s.Encode(w, d)
		}
		if p.Len > 0 {
			st.keep(s, st.Master, p, values)
		}
		if p.Len > 0 && st.separate() {
			st.keep(s, st.Weights, p, values)
		}
		if err := s.Sync(); err != nil {
			return err
		}
	}
	return s.Sync()
}

// separate reports whether the master copy is not what computes.
func (st *Stage) separate() bool { return st.Master.Buf != st.Weights.Buf }

// sparseWeights are the blocks' matrices by parameter index, unless they are dense.
func (st *Stage) sparseWeights() map[int]kernels.Weight {
	weights := map[int]kernels.Weight{}
	if st.Layout.Format == kernels.Dense {
		return weights
	}
	var all []kernels.Weight
	for _, t := range st.blocks {
		all = append(all, t.qkv.w, t.proj.w)
		if t.moe == nil {
			all = append(all, t.fc.w, t.out.w)
			continue
		}
		for i := range t.moe.fc {
			all = append(all, t.moe.fc[i].w, t.moe.out[i].w)
		}
	}
	for i, p := range st.Params {
		if p.sparse {
			weights[i], all = all[0], all[1:]
		}
	}
	return weights
}

// ReadWeights downloads parameter i as the dense matrix that it stands for, row by row. Where layers take turns in memory, its layer
// must be there.
func (st *Stage) ReadWeights(s kernels.Stream, i int) ([]float64, error) {
	return st.read(s, i, st.values(st.Params[i]))
}

// ReadGrads is ReadWeights for a parameter's gradient.
func (st *Stage) ReadGrads(s kernels.Stream, i int) ([]float64, error) {
	return st.read(s, i, st.gradient(st.Params[i]))
}

func (st *Stage) read(s kernels.Stream, i int, values kernels.Tensor) ([]float64, error) {
	p, scratch := st.Params[i], heap{dev: st.dev}
	defer scratch.free()
	if w, ok := st.sparseWeights()[i]; ok {
		t := st.Precision.Stats
		if w.Format != kernels.Int8 {
			w.Values, t = values, values.DType()
		}
		values = scratch.tensor(t, p.OC, p.C)
		if scratch.err != nil {
			return nil, scratch.err
		}
		s.Decode(values, w)
	}
	host := make([]float64, p.OC*p.C)
	err := s.Download(tensor.New(tensor.WithShape(p.OC, p.C), tensor.WithBacking(host)), values.Reshape(p.OC, p.C))
	return host, err
}
