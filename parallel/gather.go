package parallel

import (
	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// Gather gives rank 0 the bytes of every rank, by rank, through the ranks' own communicator: it works between processes and machines as it does within one. All
// ranks call it, with idle streams; the others get nil.
func (r *Rank) Gather(b []byte) ([][]byte, error) {
	sizes, err := r.sizes(len(b))
	if err != nil {
		return nil, err
	}
	if r.ID != 0 {
		if len(b) == 0 {
			return nil, nil
		}
		return nil, r.message(b, func(x kernels.Tensor) { r.All.Send(r.Compute, x, 0) }, true)
	}
	all := make([][]byte, r.World)
	all[0] = b
	for from := 1; from < r.World; from++ {
		all[from] = make([]byte, sizes[from])
		if sizes[from] == 0 {
			continue
		}
		if err := r.message(all[from], func(x kernels.Tensor) { r.All.Recv(r.Compute, x, from) }, false); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sizes are every rank's.
func (r *Rank) sizes(mine int) ([]int32, error) {
	one, err := r.Device.Alloc(kernels.I32, 1)
	if err != nil {
		return nil, err
	}
	defer one.Free()
	many, err := r.Device.Alloc(kernels.I32, r.World)
	if err != nil {
		return nil, err
	}
	defer many.Free()
	sizes := make([]int32, r.World)
	x, all := kernels.Of(one, 1), kernels.Of(many, r.World)
	r.Compute.Upload(x, tensor.New(tensor.WithShape(1), tensor.WithBacking([]int32{int32(mine)})))
	r.All.AllGather(r.Compute, all, x)
	if err := r.Compute.Sync(); err != nil {
		return nil, err
	}
	return sizes, r.Compute.Download(tensor.New(tensor.WithShape(r.World), tensor.WithBacking(sizes)), all)
}

// message moves bytes by a call on a tensor of them, to the device before it or back from it afterwards.
func (r *Rank) message(b []byte, call func(kernels.Tensor), sends bool) error {
	buf, err := r.Device.Alloc(kernels.U8, len(b))
	if err != nil {
		return err
	}
	defer buf.Free()
	x, host := kernels.Of(buf, len(b)), tensor.New(tensor.WithShape(len(b)), tensor.WithBacking(b))
	if sends {
		r.Compute.Upload(x, host)
	}
	call(x)
	if err := r.Compute.Sync(); err != nil || sends {
		return err
	}
	return r.Compute.Download(host, x)
}
