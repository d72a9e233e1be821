package ptxsim

import (
	"encoding/binary"
	"fmt"

	"ofpeak/kernels/cuda/driver"
)

// sparseProducts implements driver.SparseProducts: it stands in for the library, to test those who call it. Its sums are float64. A compressed weight is its shape, and
// for each kept value the place among four and the value.
type sparseProducts struct{ context *context }

const (
	sparseHeader = 16
	sparseWork   = 64
)

// SparseProducts is there if the configuration asks for it.
func (c *context) SparseProducts() (driver.SparseProducts, error) {
	defer c.leave()
	if err := c.enter("SparseProducts"); err != nil {
		return nil, err
	}
	if !c.driver.config.SparseProducts {
		return nil, fmt.Errorf("ptxsim: simulated GPUs run the kernels that ship: %w", driver.ErrNotSupported)
	}
	p := &sparseProducts{c}
	c.live[p] = "library of sparse products"
	return p, nil
}

func (p *sparseProducts) Library() string { return "sparse stand-in" }

func (p *sparseProducts) Close() error {
	p.context.driver.mu.Lock()
	defer p.context.leave()
	if p.context.live[p] == "" {
		return fmt.Errorf("ptxsim: sparse products closed twice: %w", driver.ErrInvalidHandle)
	}
	delete(p.context.live, p)
	return nil
}

func (p *sparseProducts) Sizes(q driver.SparseProduct) (compressed, work int64, err error) {
	defer p.context.leave()
	if err := p.context.enter("Sizes"); err != nil {
		return 0, 0, err
	}
	if err := q.Refused(); err != nil {
		return 0, 0, fmt.Errorf("ptxsim: %w", err)
	}
	return compressedBytes(q), sparseWork, nil
}

func compressedBytes(q driver.SparseProduct) int64 { return sparseHeader + int64(q.N*q.K/2)*3 }

func (p *sparseProducts) Compress(on driver.Stream, q driver.SparseProduct, dense driver.Ptr) error {
	return p.enqueue(on, "Compress", q, func() error {
		raw := make([]byte, 2*q.N*q.K)
		if err := p.context.memory.Read(raw, uint64(dense)); err != nil {
			return err
		}
		out, le := make([]byte, 0, compressedBytes(q)), binary.LittleEndian
		out = le.AppendUint64(le.AppendUint64(out, uint64(q.N)), uint64(q.K))
		for i := 0; i < q.N*q.K; i += 4 {
			kept := 0
			for place := range 4 {
				v := raw[2*(i+place):][:2]
				if le.Uint16(v)&0x7fff == 0 && 4-place > 2-kept { // zeros fill up, as long as places are left
					continue
				}
				if kept++; kept > 2 {
					return fmt.Errorf("more than two of four values at %d", i)
				}
				out = append(out, byte(place), v[0], v[1])
			}
		}
		return p.context.memory.Write(uint64(q.Weight), out)
	})
}

func (p *sparseProducts) Multiply(on driver.Stream, q driver.SparseProduct) error {
	return p.enqueue(on, "SparseMultiply", q, func() error {
		raw := make([]byte, compressedBytes(q))
		if err := p.context.memory.Read(raw, uint64(q.Weight)); err != nil {
			return err
		}
		if le := binary.LittleEndian; le.Uint64(raw) != uint64(q.N) || le.Uint64(raw[8:]) != uint64(q.K) {
			return fmt.Errorf("the weight is not one of %d x %d that was compressed", q.N, q.K)
		}
		dense := make([]float64, q.N*q.K)
		for i, kept := 0, raw[sparseHeader:]; len(kept) > 0; i, kept = i+1, kept[3:] {
			dense[i/2*4+int(kept[0])] = decode(kept[1:3], q.Type)[0]
		}
		m := matrices{context: p.context}
		in, addend, bias := m.read(q.In, q.M*q.K, q.Type), m.read(q.Addend, q.M*q.N, q.Type), m.read(q.Bias, q.N, q.Type)
		if m.err != nil {
			return m.err
		}
		out := make([]float64, q.M*q.N)
		for i := range out {
			row, col := i/q.N, i%q.N
			for k := range q.K {
				out[i] += in[row*q.K+k] * dense[col*q.K+k]
			}
			if addend != nil {
				out[i] += addend[i]
			}
			if bias != nil {
				out[i] += bias[col]
			}
		}
		m.write(q.Out, out, q.Type)
		return m.err
	})
}

// enqueue puts a call on a stream.
func (p *sparseProducts) enqueue(on driver.Stream, call string, q driver.SparseProduct, run func() error) error {
	defer p.context.leave()
	s, ok := on.(*stream)
	if !ok || s.context != p.context {
		p.context.driver.mu.Lock()
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	if err := s.enter(call); err != nil {
		return err
	}
	if err := q.Refused(); err != nil {
		return fmt.Errorf("ptxsim: %s: %w", call, err)
	}
	if !p.context.memory.Holds(uint64(q.Work), sparseWork) {
		return fmt.Errorf("ptxsim: %s: no memory to work in: %w", call, driver.ErrInvalidValue)
	}
	work := func() error {
		if err := run(); err != nil {
			return fmt.Errorf("ptxsim: %s: %w: %w", call, driver.ErrIllegalAddress, err)
		}
		return nil
	}
	s.issue(func(on *stream) { on.enqueue(task{run: work}) })
	return nil
}
