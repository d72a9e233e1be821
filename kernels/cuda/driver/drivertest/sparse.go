package drivertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// sparseProducts of both types and all epilogues, where there is a library.
func sparseProducts(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	defer r.close()
	library, err := r.ctx.SparseProducts()
	if errors.Is(err, driver.ErrNotSupported) {
		t.Log(err)
		return
	}
	check(t, err)
	if library.Library() == "" {
		t.Error("the library has no name")
	}
	for i := range 2 * 2 * 3 {
		p := driver.SparseProduct{M: 24, N: 48, K: 32, Type: driver.Float16}
		if i&1 > 0 {
			p.Type = driver.BFloat16
		}
		o := operands{rig: r, random: rand.New(rand.NewPCG(uint64(i), 9))}
		if err := o.multiplySparse(library, p, i&2 > 0, i/4); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []driver.SparseProduct{
		{M: 4, N: 48, K: 32, Type: driver.Float16}, {M: 8, N: 24, K: 32, Type: driver.Float16}, {M: 8, N: 16, K: 24, Type: driver.Float16},
		{M: 8, N: 16, K: 16, Type: driver.Float32}, {M: 8, N: 16, K: 16, Type: driver.BFloat16, In: 8},
	} {
		_, _, err := library.Sizes(p)
		want(t, fmt.Sprintf("%+v", p), err, driver.ErrNotSupported)
	}
	check(t, library.Close())
	want(t, "library closed twice", library.Close(), driver.ErrInvalidHandle)
}

// multiplySparse compresses a weight and multiplies by it twice, with another input the second time; addend is 0: none, 1: apart, 2: the result's place.
func (o *operands) multiplySparse(library driver.SparseProducts, p driver.SparseProduct, bias bool, addend int) error {
	defer o.free()
	var biases, addends []float64
	dense, weight := o.pruned(p.N, p.K, p.Type)
	if bias {
		p.Bias, biases = o.matrix(p.N, p.Type)
	}
	compressed, work, err := library.Sizes(p)
	if err != nil {
		return err
	}
	p.Weight, p.Work = must(o.ctx.Alloc(max(compressed, 1)))(o.t), must(o.ctx.Alloc(max(work, 1)))(o.t)
	o.taken = append(o.taken, p.Weight, p.Work)
	if err := library.Compress(o.stream, p, dense); err != nil {
		return err
	}
	for range 2 {
		var in, out []float64
		p.In, in = o.matrix(p.M*p.K, p.Type)
		p.Out, out = o.matrix(p.M*p.N, p.Type)
		switch addend {
		case 1:
			p.Addend, addends = o.matrix(p.M*p.N, p.Type)
		case 2:
			p.Addend, addends = p.Out, out
		}
		if err := library.Multiply(o.stream, p); err != nil {
			return err
		}
		for i, got := range o.read(p.Out, p.M*p.N, p.Type) {
			row, col, v := i/p.N, i%p.N, 0.0
			for k := range p.K {
				v += in[row*p.K+k] * weight[col*p.K+k]
			}
			if biases != nil {
				v += biases[col]
			}
			if addends != nil {
				v += addends[i]
			}
			if e := math.Abs(got - v); !(e <= 1.0/128*(8+math.Abs(v))) {
				return fmt.Errorf("element %d is %g, want %g", i, got, v)
			}
		}
	}
	return nil
}

// pruned is a random matrix of which each four neighbours of a row keep two.
func (o *operands) pruned(rows, cols int, t driver.Type) (driver.Ptr, []float64) {
	p, v := o.matrix(rows*cols, t)
	host := must(o.ctx.AllocHost(len(v) * t.Size()))(o.t)
	check(o.t, o.stream.CopyToHost(host, p))
	check(o.t, o.stream.Synchronize())
	for i := 0; i < len(v); i += 4 {
		for _, place := range o.random.Perm(4)[:2] {
			v[i+place] = 0
			binary.LittleEndian.PutUint16(host[2*(i+place):], 0)
		}
	}
	check(o.t, o.stream.CopyToDevice(p, host))
	check(o.t, o.stream.Synchronize())
	check(o.t, o.ctx.FreeHost(host))
	return p, v
}
