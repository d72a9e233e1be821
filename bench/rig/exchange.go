package rig

import (
	"slices"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/parallel"
)

// exchange lets every rank know the largest of one number per rank, such as a step's time, through the ranks' own communicator: it works
// between processes and machines as it does here.
type exchange struct {
	rank      *parallel.Rank
	mine, all kernels.Tensor
	one, many *tensor.Dense
}

func newExchange(r *parallel.Rank) (*exchange, error) {
	x := &exchange{rank: r, one: hostTensor(1), many: hostTensor(r.World)}
	for _, t := range []*kernels.Tensor{&x.mine, &x.all} {
		n := map[bool]int{true: 1, false: r.World}[t == &x.mine]
		b, err := r.Device.Alloc(kernels.F32, n)
		if err != nil {
			return nil, err
		}
		r.Defer(b.Free)
		*t = kernels.Of(b, n)
	}
	return x, nil
}

// largest returns the largest v of all ranks. Every rank calls it.
func (x *exchange) largest(v float64) (float64, error) {
	x.one.Data().([]float64)[0] = v
	s := x.rank.Compute
	s.Upload(x.mine, x.one)
	x.rank.All.AllGather(s, x.all, x.mine)
	if err := s.Sync(); err != nil {
		return 0, err
	}
	if err := s.Download(x.many, x.all); err != nil {
		return 0, err
	}
	return slices.Max(x.many.Data().([]float64)), nil
}

// together holds every rank until all are here, with idle streams.
func (x *exchange) together() error {
	x.rank.All.Barrier(x.rank.Compute)
	return x.rank.Sync()
}

func hostTensor(n int) *tensor.Dense {
	return tensor.New(tensor.WithShape(n), tensor.WithBacking(make([]float64, n)))
}
