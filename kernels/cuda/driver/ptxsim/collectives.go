package ptxsim

import (
	"fmt"
	"slices"

	"ofpeak/kernels/cuda/driver"
)

// collectives implements driver.Collectives: it stands in for NCCL, to test those who call it. A rank's part of a call reads its source when its stream comes there, and writes when all that it needs has
// been read, however much later other ranks come. Sums are in rank order, in float64, and rounded once.
type collectives struct{ driver *Driver }

// Collectives are there if the configuration asks for them.
func (d *Driver) Collectives() (driver.Collectives, error) {
	if !d.config.Collectives {
		return nil, fmt.Errorf("ptxsim: simulated GPUs have no library of collectives: %w", driver.ErrNotSupported)
	}
	return &collectives{d}, nil
}

// clique is what the ranks of a group share.
type clique struct {
	members []*group
	absent  int         // members that have not joined
	calls   []*exchange // that some rank has begun and not all have ended, in order
	ended   int         // calls that have left the list
	pairs   map[[2]int]*pair
	asks    []*ask // of a split that some rank has not come to, by rank
}

// exchange is one call of all ranks.
type exchange struct {
	calls  []driver.Collective // by rank
	in     [][]byte            // by rank, what it brings
	came   int
	ended  int
	result []float64 // the sum, once someone needs it
}

// pair is what goes from one rank to another, in order.
type pair struct{ sends, recvs []*message }

type message struct {
	call           driver.Collective
	data           []byte
	posted, wanted bool
}

type ask struct {
	driver.Part
	done bool
	made driver.Group // nil: no color
}

// group implements driver.Group.
type group struct {
	clique  *clique
	context *context
	rank    int
	calls   int  // so far
	closed  bool // or aborted
	aborted bool
}

func (l *collectives) Library() string { return "stand-in for NCCL" }

func (l *collectives) NewID() ([]byte, error) {
	d := l.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.injected("NewID"); err != nil {
		return nil, err
	}
	id := fmt.Sprintf("group %d", len(d.cliques))
	d.cliques[id] = nil
	return []byte(id), nil
}

func newClique(ranks int) *clique {
	return &clique{members: make([]*group, ranks), absent: ranks, pairs: map[[2]int]*pair{}, asks: make([]*ask, ranks)}
}

// seat makes a member.
func (q *clique) seat(rank int, c *context) *group {
	g := &group{clique: q, context: c, rank: rank}
	q.members[rank] = g
	q.absent--
	c.live[g] = "group of collectives"
	return g
}

func (l *collectives) Join(id []byte, ranks int, seats []driver.Seat) ([]driver.Group, error) {
	d := l.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	q, named := d.cliques[string(id)]
	if q == nil && ranks > 0 {
		q = newClique(ranks)
	}
	if !named || ranks < 1 || ranks != len(q.members) {
		return nil, fmt.Errorf("ptxsim: Join of %d ranks: %w", ranks, driver.ErrInvalidValue)
	}
	for i, s := range seats {
		c, ok := s.Context.(*context)
		same := func(other driver.Seat) bool { return other.Rank == s.Rank || other.Context == s.Context }
		switch {
		case !ok || c.driver != d:
			return nil, fmt.Errorf("ptxsim: Join: a context of another driver: %w", driver.ErrInvalidContext)
		case s.Rank < 0 || s.Rank >= ranks || q.members[s.Rank] != nil || slices.ContainsFunc(seats[:i], same) ||
			slices.ContainsFunc(q.members, func(g *group) bool { return g != nil && g.context == c }):
			return nil, fmt.Errorf("ptxsim: Join: rank %d of %d, or its device, is there already: %w", s.Rank, ranks, driver.ErrInvalidValue)
		}
		if err := c.usable("Join"); err != nil {
			return nil, err
		}
	}
	d.cliques[string(id)] = q
	made := make([]driver.Group, len(seats))
	for i, s := range seats {
		made[i] = q.seat(s.Rank, s.Context.(*context))
	}
	d.changed.Broadcast()
	for q.absent > 0 {
		d.changed.Wait()
	}
	return made, nil
}

func (l *collectives) Split(parts []driver.Part) ([]driver.Group, error) {
	d := l.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	asks := make([]*ask, len(parts))
	for i, p := range parts {
		g, ok := p.Group.(*group)
		if !ok {
			return nil, fmt.Errorf("ptxsim: Split: a group of another driver: %w", driver.ErrInvalidHandle)
		}
		if err := g.usable("Split"); err != nil {
			return nil, err
		}
		asks[i] = &ask{Part: p}
	}
	for _, a := range asks {
		g := a.Group.(*group)
		g.clique.asks[g.rank] = a
		if !slices.Contains(g.clique.asks, nil) {
			g.clique.divide()
			d.changed.Broadcast()
		}
	}
	made := make([]driver.Group, len(parts))
	for i, a := range asks {
		g := a.Group.(*group)
		for !a.done && !g.aborted {
			d.changed.Wait()
		}
		if !a.done {
			return nil, fmt.Errorf("ptxsim: Split: the group was aborted: %w", driver.ErrInvalidHandle)
		}
		made[i] = a.made
	}
	return made, nil
}

// divide makes the groups that all ranks have asked for.
func (q *clique) divide() {
	colors := map[int][]*ask{}
	for _, a := range q.asks {
		a.done = true
		if a.Color >= 0 {
			colors[a.Color] = append(colors[a.Color], a)
		}
	}
	for _, same := range colors {
		slices.SortStableFunc(same, func(a, b *ask) int { return a.Key - b.Key })
		child := newClique(len(same))
		for rank, a := range same {
			a.made = child.seat(rank, a.Group.(*group).context)
		}
	}
	q.asks = make([]*ask, len(q.members))
}

// usable is nil where a call can be made. The lock is held.
func (g *group) usable(call string) error {
	if err := g.context.usable(call); err != nil {
		return err
	}
	if g.closed {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	return nil
}

func (g *group) Rank() int { return g.rank }
func (g *group) Size() int { return len(g.clique.members) }

func (g *group) Err() error { return nil } // nothing but calls can fail here

// Abort releases this rank only: the others wait until they abort too.
func (g *group) Abort() error { return g.end(true) }

// Close is taken as it comes; NCCL's waits for the other ranks.
func (g *group) Close() error { return g.end(false) }

func (g *group) end(aborts bool) error {
	d := g.context.driver
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed, g.aborted = true, aborts
	delete(g.context.live, g)
	d.changed.Broadcast()
	return nil
}
