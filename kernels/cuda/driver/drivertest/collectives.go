package drivertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// collectives between all devices, where there is a library.
func collectives(t *testing.T, d driver.Driver) {
	library, err := d.Collectives()
	if errors.Is(err, driver.ErrNotSupported) {
		t.Log(err)
		return
	}
	check(t, err)
	if library.Library() == "" {
		t.Error("the library has no name")
	}
	n := must(d.Devices())(t)
	if n < 2 {
		t.Skipf("%d device", n)
	}
	rs := join(t, d, library, n)
	t.Run("each", func(t *testing.T) { eachCollective(t, rs) })
	t.Run("misuse", func(t *testing.T) { misusedGroups(t, library, rs) })
	t.Run("split", func(t *testing.T) { split(t, library, rs) })
	together(t, rs, func(m *member) error { return m.group.Close() })
	for _, m := range rs {
		m.close()
	}
	t.Run("abort", func(t *testing.T) { aborted(t, d, library, n) })
}

// member is a rank of a group.
type member struct {
	*rig
	group driver.Group
	at    driver.Ptr // memory of so many bytes
	host  []byte
}

const memberBytes = 4096

func join(t *testing.T, d driver.Driver, library driver.Collectives, n int) []*member {
	t.Helper()
	rs, seats := make([]*member, n), make([]driver.Seat, n)
	for i := range rs {
		rs[i] = &member{rig: newRig(t, d, n-1-i)} // ranks are not in the order of the devices
		rs[i].at, rs[i].host = must(rs[i].ctx.Alloc(memberBytes))(t), must(rs[i].ctx.AllocHost(memberBytes))(t)
		seats[i] = driver.Seat{Rank: i, Context: rs[i].ctx}
	}
	groups := must(library.Join(must(library.NewID())(t), n, seats))(t)
	for i, g := range groups {
		rs[i].group = g
		if g.Rank() != i || g.Size() != n {
			t.Errorf("rank %d became %d of %d", i, g.Rank(), g.Size())
		}
	}
	return rs
}

// close releases the rest. The group was closed or aborted, so that closing it is nothing.
func (m *member) close() {
	m.t.Helper()
	check(m.t, m.group.Close())
	check(m.t, m.ctx.FreeHost(m.host))
	check(m.t, m.ctx.Free(m.at))
	m.rig.close()
}

// together runs a part of every rank at once, as NCCL needs it.
func together(t *testing.T, rs []*member, f func(m *member) error) {
	t.Helper()
	if err := errors.Join(atOnce(rs, f)...); err != nil {
		t.Error(err)
	}
}

func atOnce(rs []*member, f func(m *member) error) []error {
	errs := make([]error, len(rs))
	var all sync.WaitGroup
	for i, m := range rs {
		all.Go(func() { errs[i] = f(m) })
	}
	all.Wait()
	return errs
}

// element is what element i of rank r holds: a small whole number, of which sums are exact in every type.
func element(r, i int) float64 { return float64((r*7 + i*3) % 11) }

// put writes n numbers of a rank at an address.
func (m *member) put(at driver.Ptr, r, n int, t driver.Type) error {
	b := m.host[:0]
	for i := range n {
		b = appendNumber(b, element(r, i), t)
	}
	return errors.Join(m.stream.CopyToDevice(at, m.host[:len(b)]), m.stream.Synchronize())
}

// holds checks the numbers at an address.
func (m *member) holds(at driver.Ptr, n int, t driver.Type, want func(i int) float64) error {
	got := m.host[:n*t.Size()]
	if err := errors.Join(m.stream.CopyToHost(got, at), m.stream.Synchronize()); err != nil {
		return err
	}
	var b []byte
	for i := range n {
		b = appendNumber(b, want(i), t)
	}
	if !bytes.Equal(got, b) {
		return fmt.Errorf("rank %d holds % x, want % x", m.group.Rank(), got[:min(32, len(got))], b[:min(32, len(b))])
	}
	return nil
}

func appendNumber(b []byte, v float64, t driver.Type) []byte {
	le := binary.LittleEndian
	switch t {
	case driver.Float64:
		return le.AppendUint64(b, math.Float64bits(v))
	case driver.Float32:
		return le.AppendUint32(b, math.Float32bits(float32(v)))
	case driver.Int32:
		return le.AppendUint32(b, uint32(v))
	case driver.Float16:
		return le.AppendUint16(b, kernels.F16FromF32(float32(v)))
	case driver.BFloat16:
		return le.AppendUint16(b, kernels.BF16FromF32(float32(v)))
	}
	return append(b, byte(int(v)))
}

// eachCollective in every type, apart and in place.
func eachCollective(t *testing.T, rs []*member) {
	p := len(rs)
	sum := func(i int) (s float64) {
		for r := range p {
			s += element(r, i)
		}
		return s
	}
	for _, dt := range []driver.Type{driver.Float32, driver.Float16, driver.BFloat16, driver.Float64, driver.Int32, driver.Int8, driver.Uint8} {
		for _, n := range []int{1, 5, 16} {
			part := driver.Ptr(n * dt.Size())
			const half = memberBytes / 2
			together(t, rs, func(m *member) error {
				r := m.group.Rank()
				src, dst := m.at, m.at+half
				do := func(c driver.Collective) error {
					c.N, c.Type = n, dt
					return m.group.Enqueue(m.stream, c)
				}
				errs := []error{m.put(src, r, n*p, dt)}
				for i, try := range []struct {
					call driver.Collective
					at   driver.Ptr
					n    int
					want func(i int) float64
				}{
					{driver.Collective{Op: driver.AllReduce, Src: src, Dst: dst}, dst, n, sum},
					{driver.Collective{Op: driver.ReduceScatter, Src: src, Dst: dst}, dst, n, func(i int) float64 { return sum(r*n + i) }},
					{driver.Collective{Op: driver.AllGather, Src: src, Dst: dst}, dst, n * p, func(i int) float64 { return element(i/n, i%n) }},
					{driver.Collective{Op: driver.Broadcast, Src: src, Dst: dst, Peer: p - 1}, dst, n, func(i int) float64 { return element(p-1, i) }},
					// In place, each on what the one before has left.
					{driver.Collective{Op: driver.ReduceScatter, Src: src, Dst: src + driver.Ptr(r)*part}, src + driver.Ptr(r)*part, n, func(i int) float64 { return sum(r*n + i) }},
					{driver.Collective{Op: driver.AllGather, Src: src + driver.Ptr(r)*part, Dst: src}, src, n * p, sum},
					{driver.Collective{Op: driver.AllReduce, Src: src, Dst: src}, src, n, func(i int) float64 { return sum(i) * float64(p) }},
				} {
					if err := errors.Join(do(try.call), m.holds(try.at, try.n, dt, try.want)); err != nil {
						errs = append(errs, fmt.Errorf("%v (%d) of %d, type %d: %w", try.call.Op, i, n, dt, err))
						break
					}
				}
				return errors.Join(errs...)
			})
			exchangeAll(t, rs, n, dt)
		}
	}
}

// exchangeAll has every rank send to every other one at once, which one by one would wait for ever.
func exchangeAll(t *testing.T, rs []*member, n int, dt driver.Type) {
	p, part := len(rs), driver.Ptr(n*dt.Size())
	const half = memberBytes / 2
	together(t, rs, func(m *member) error {
		r := m.group.Rank()
		if err := m.put(m.at, r, n*p, dt); err != nil {
			return err
		}
		var calls []driver.Collective
		for q := range p {
			if q != r {
				calls = append(calls, driver.Collective{Op: driver.Send, Src: m.at + driver.Ptr(q)*part, N: n, Type: dt, Peer: q},
					driver.Collective{Op: driver.Recv, Dst: m.at + half + driver.Ptr(q)*part, N: n, Type: dt, Peer: q})
			}
		}
		if err := m.group.Enqueue(m.stream, calls...); err != nil {
			return err
		}
		for q := range p {
			if q == r {
				continue
			}
			if err := m.holds(m.at+half+driver.Ptr(q)*part, n, dt, func(i int) float64 { return element(q, r*n+i) }); err != nil {
				return err
			}
		}
		return nil
	})
}

func misusedGroups(t *testing.T, library driver.Collectives, rs []*member) {
	a, b := rs[0], rs[1]
	one := driver.Collective{Op: driver.AllReduce, Src: a.at, Dst: a.at, N: 1, Type: driver.Float32}
	want(t, "a stream of another device", a.group.Enqueue(b.stream, one), driver.ErrInvalidHandle)
	want(t, "no seat", fails(library.Join([]byte("short"), 1, []driver.Seat{{Context: a.ctx}})), driver.ErrInvalidValue)
	twice := []driver.Seat{{Rank: 0, Context: a.ctx}, {Rank: 1, Context: a.ctx}}
	if _, err := library.Join(must(library.NewID())(t), 2, twice); err == nil {
		t.Error("a device is two ranks of one group")
	}
	check(t, a.group.Err())
}

// split makes a group of the last rank alone, one of the others in reverse order, and then one without the first.
func split(t *testing.T, library driver.Collectives, rs []*member) {
	p := len(rs)
	var parts []driver.Part
	for i, m := range rs {
		parts = append(parts, driver.Part{Group: m.group, Color: 1, Key: -i})
	}
	parts[p-1].Color = 3
	groups := must(library.Split(parts))(t)
	for i, g := range groups {
		rank, size := p-2-i, p-1
		if i == p-1 {
			rank, size = 0, 1
		}
		if g.Rank() != rank || g.Size() != size {
			t.Errorf("rank %d became %d of %d, want %d of %d", i, g.Rank(), g.Size(), rank, size)
		}
		check(t, g.Close())
	}
	parts = nil
	for i, m := range rs {
		parts = append(parts, driver.Part{Group: m.group, Color: min(i, 1) - 1})
	}
	groups = must(library.Split(parts))(t)
	if groups[0] != nil || groups[1] == nil || groups[1].Size() != p-1 {
		t.Errorf("got %v", groups)
	}
	together(t, rs[1:], func(m *member) error {
		g := groups[m.group.Rank()]
		call := driver.Collective{Op: driver.AllReduce, Src: m.at, Dst: m.at, N: 4, Type: driver.Float32}
		if err := errors.Join(m.put(m.at, m.group.Rank(), 4, driver.Float32), g.Enqueue(m.stream, call)); err != nil {
			return err
		}
		return m.holds(m.at, 4, driver.Float32, func(i int) (s float64) {
			for r := 1; r < p; r++ {
				s += element(r, i)
			}
			return s
		})
	})
	for _, g := range groups[1:] {
		check(t, g.Close())
	}
}

// aborted ends what waits for a rank that does not come: the call, or its work on the device.
func aborted(t *testing.T, d driver.Driver, library driver.Collectives, n int) {
	rs := join(t, d, library, n)
	go func() {
		time.Sleep(20 * time.Millisecond)
		for _, m := range rs {
			if err := m.group.Abort(); err != nil {
				t.Error(err)
			}
		}
	}()
	call := driver.Collective{Op: driver.AllReduce, N: 4, Type: driver.Float32}
	atOnce(rs[:n-1], func(m *member) error { // the last rank makes no call
		call := call
		call.Src, call.Dst = m.at, m.at
		err := m.put(m.at, m.group.Rank(), 4, driver.Float32)
		if err == nil && m.group.Enqueue(m.stream, call) == nil {
			err = m.stream.Synchronize()
		}
		if err != nil {
			t.Error(err)
		}
		return err
	})
	for _, m := range rs {
		call := call
		call.Src, call.Dst = m.at, m.at
		for wait := 0; m.group.Enqueue(m.stream, call) == nil; wait++ {
			if time.Sleep(time.Millisecond); wait > 1000 {
				t.Fatal("an aborted group works")
			}
		}
		m.close()
	}
}
