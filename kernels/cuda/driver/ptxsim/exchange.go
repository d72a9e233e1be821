package ptxsim

import (
	"fmt"
	"slices"

	"ofpeak/kernels/cuda/driver"
)

func (g *group) Enqueue(on driver.Stream, calls ...driver.Collective) error {
	defer g.context.leave()
	s, ok := on.(*stream)
	if !ok || s.context != g.context {
		g.context.driver.mu.Lock()
		return fmt.Errorf("ptxsim: Enqueue: a stream of another context: %w", driver.ErrInvalidHandle)
	}
	if err := s.enter("Enqueue"); err != nil {
		return err
	}
	if g.closed {
		return fmt.Errorf("ptxsim: Enqueue: %w", driver.ErrInvalidHandle)
	}
	for _, c := range calls {
		if err := g.check(c, len(calls)); err != nil {
			return fmt.Errorf("ptxsim: %v of %d: %w", c.Op, c.N, err)
		}
	}
	calls = slices.Clone(calls)
	s.issue(func(on *stream) { g.enqueue(on, calls) })
	return nil
}

// enqueue reads what is brought before anything is waited for, as calls of one group are under way at once.
func (g *group) enqueue(s *stream, calls []driver.Collective) {
	var later []task
	for _, c := range calls {
		first, then := g.begin(c)
		s.enqueue(g.task(s, c, first, nil))
		later = append(later, g.task(s, c, then.run, then.ready))
	}
	for _, t := range later {
		s.enqueue(t)
	}
}

// check refuses operands that are not there, or overlap otherwise than NCCL allows.
func (g *group) check(c driver.Collective, together int) error {
	pairwise := c.Op == driver.Send || c.Op == driver.Recv
	if c.N <= 0 || c.Peer < 0 || c.Peer >= g.Size() || together > 1 && !pairwise || pairwise && c.Peer == g.rank {
		return driver.ErrInvalidValue
	}
	src, dst := g.sizes(c)
	for at, n := range map[driver.Ptr]int{c.Src: src, c.Dst: dst} {
		if n > 0 && !g.context.memory.Holds(uint64(at), int64(n)) {
			return driver.ErrInvalidValue
		}
	}
	from, to, part := c.Src, c.Dst, driver.Ptr(g.rank*c.N*c.Type.Size())
	switch c.Op {
	case driver.ReduceScatter:
		from += part
	case driver.AllGather:
		to += part
	}
	apart := c.Src+driver.Ptr(src) <= c.Dst || c.Dst+driver.Ptr(dst) <= c.Src
	if src > 0 && dst > 0 && !apart && from != to {
		return driver.ErrInvalidValue
	}
	return nil
}

// sizes are the bytes that the rank's source and destination have; 0 where there is none.
func (g *group) sizes(c driver.Collective) (src, dst int) {
	n := c.N * c.Type.Size()
	switch c.Op {
	case driver.ReduceScatter:
		return n * g.Size(), n
	case driver.AllGather:
		return n, n * g.Size()
	case driver.Send:
		return n, 0
	case driver.Recv:
		return 0, n
	case driver.Broadcast:
		if g.rank != c.Peer {
			return 0, n
		}
	}
	return n, n
}

// task is one half of a call: it touches nothing once the group is aborted, and never holds a context that is lost.
func (g *group) task(s *stream, c driver.Collective, run func() error, ready func() bool) task {
	d := g.context.driver
	noted := d.add(&call{stream: s.number, context: g.context.device, name: c.Op.String()})
	t := task{run: func() error {
		if g.aborted {
			return nil
		}
		return d.watched(noted, run)
	}}
	if ready != nil {
		t.ready = func() bool { return ready() || g.aborted || g.context.lost != nil }
	}
	return t
}

// begin gives the two halves of a call.
func (g *group) begin(c driver.Collective) (first func() error, then task) {
	if c.Op == driver.Send || c.Op == driver.Recv {
		return g.transfer(c)
	}
	x := g.exchange(c)
	first = func() (err error) {
		x.in[g.rank], err = g.read(c)
		x.came++
		return err
	}
	return first, task{ready: func() bool { return x.came == g.Size() }, run: func() error {
		if err := g.write(c, x); err != nil {
			return fmt.Errorf("ptxsim: %v: %w: %w", c.Op, driver.ErrLaunchFailed, err)
		}
		x.ended++
		q := g.clique
		for len(q.calls) > 0 && q.calls[0].ended == g.Size() {
			q.calls = q.calls[1:]
			q.ended++
		}
		return nil
	}}
}

// exchange is the call of all ranks that this rank's next one is part of.
func (g *group) exchange(c driver.Collective) *exchange {
	q := g.clique
	n := g.calls - q.ended
	g.calls++
	if n == len(q.calls) {
		q.calls = append(q.calls, &exchange{calls: make([]driver.Collective, g.Size()), in: make([][]byte, g.Size())})
	}
	x := q.calls[n]
	x.calls[g.rank] = c
	return x
}

// read is what the rank brings.
func (g *group) read(c driver.Collective) ([]byte, error) {
	src, _ := g.sizes(c)
	b := make([]byte, src)
	if src == 0 {
		return b, nil
	}
	return b, g.context.memory.Read(b, uint64(c.Src))
}

// write gives the rank what all have brought.
func (g *group) write(c driver.Collective, x *exchange) error {
	for r, other := range x.calls {
		if other.Op != c.Op || other.N != c.N || other.Type != c.Type || other.Peer != c.Peer {
			return fmt.Errorf("rank %d calls %v of %d while rank %d calls %v of %d", r, other.Op, other.N, g.rank, c.Op, c.N)
		}
	}
	var out []byte
	switch c.Op {
	case driver.Broadcast:
		out = x.in[c.Peer]
	case driver.AllGather:
		for _, b := range x.in {
			out = append(out, b...)
		}
	default:
		x.sum(c.Type)
		sum := x.result
		if c.Op == driver.ReduceScatter {
			sum = sum[g.rank*c.N:][:c.N]
		}
		out = encode(sum, c.Type)
	}
	return g.context.memory.Write(uint64(c.Dst), out)
}

func (x *exchange) sum(t driver.Type) {
	if x.result != nil {
		return
	}
	x.result = decode(x.in[0], t)
	for _, b := range x.in[1:] {
		for i, v := range decode(b, t) {
			x.result[i] += v
		}
	}
}

// transfer is one side of a pair.
func (g *group) transfer(c driver.Collective) (first func() error, then task) {
	q := g.clique
	if c.Op == driver.Send {
		m := q.message(g.rank, c.Peer, true)
		first = func() (err error) {
			m.data, err = g.read(c)
			m.call, m.posted = c, true
			return err
		}
		return first, task{ready: func() bool { return m.wanted }, run: func() error { return nil }}
	}
	m := q.message(c.Peer, g.rank, false)
	first = func() error {
		m.wanted = true
		return nil
	}
	return first, task{ready: func() bool { return m.posted }, run: func() error {
		if m.call.N != c.N || m.call.Type != c.Type {
			return fmt.Errorf("ptxsim: rank %d sends %d, rank %d expects %d: %w", c.Peer, m.call.N, g.rank, c.N, driver.ErrLaunchFailed)
		}
		return g.context.memory.Write(uint64(c.Dst), m.data)
	}}
}

// message is the next one between two ranks on one side.
func (q *clique) message(from, to int, sends bool) *message {
	key := [2]int{from, to}
	p := q.pairs[key]
	if p == nil {
		p = &pair{}
		q.pairs[key] = p
	}
	mine, others := &p.recvs, &p.sends
	if sends {
		mine, others = others, mine
	}
	// What the other side has begun first waits in its list.
	if len(*others) > 0 {
		m := (*others)[0]
		*others = (*others)[1:]
		return m
	}
	m := &message{}
	*mine = append(*mine, m)
	return m
}
