package nccl

import (
	"context"
	"errors"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
)

// Join makes the library what connects the ranks of processes.
func Join(library driver.Collectives, p comm.Peers) comm.Processes { return &processes{p, library} }

type processes struct {
	comm.Peers
	library driver.Collectives
}

// Version names the library.
func (p *processes) Version() string { return p.library.Library() }

// Connect makes a world of the first so many processes; see comm.Processes. The first names the library's group, which the ranks join when they are bound.
func (p *processes) Connect(ranks int) (comm.Communicator, error) {
	fate, err := p.World(ranks)
	if err != nil {
		return nil, err
	}
	var name []byte
	var failed error
	if p.Rank() == 0 && ranks > 1 {
		name, failed = p.library.NewID()
	}
	if name, err = p.Share(context.Background(), name); err != nil {
		return nil, err
	}
	if fate == nil {
		return nil, nil
	}
	w := newWorld(p.library, func() ([]byte, error) {
		if len(name) == 0 && failed == nil {
			return nil, errors.New("the first rank has none")
		}
		return name, failed
	})
	w.apart = fate
	if j, ok := fate.(interface{ Journal() *comm.Journal }); ok {
		w.journal = j.Journal()
	}
	return &communicator{g: newGroup(w, []int{p.Rank()}), rank: p.Rank(), size: ranks, apart: true}, nil
}

// Of makes peers of processes that are connected otherwise, as by MPI.
func Of(p comm.Processes) comm.Peers { return others{p} }

type others struct{ comm.Processes }

// World is a world of the others' own, of whose communicator the end is all that matters.
func (o others) World(ranks int) (comm.Fate, error) {
	c, err := o.Connect(ranks)
	if c == nil || err != nil {
		return nil, err
	}
	f, ok := comm.As[comm.Fate](c)
	if !ok {
		return nil, errors.New("nccl: a communicator that does not tell of its end")
	}
	return f, nil
}
