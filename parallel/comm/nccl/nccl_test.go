package nccl_test

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/nccl"
	"ofpeak/parallel/comm/rendezvous/env"
)

var types = []kernels.DType{kernels.F32, kernels.F16, kernels.BF16, kernels.F64}

// simulated are GPUs with a stand-in for NCCL, made anew for each world.
type simulated struct{ *ptxsim.Driver }

func (s *simulated) open(_ *testing.T, ranks int, seed uint64) func(rank int) (kernels.Device, error) {
	s.Driver = ptxsim.New(ptxsim.Config{Devices: ranks, Seed: seed, Collectives: true})
	return func(rank int) (kernels.Device, error) { return cuda.Open(s.Driver, rank) }
}

// On simulated GPUs with a stand-in for NCCL, whose streams run in an order drawn from a seed.
func TestConforms(t *testing.T) {
	var gpus simulated
	commtest.Devices{New: gpus.open, Connect: func(t *testing.T, ranks int) []comm.Communicator {
		library, err := gpus.Collectives()
		if err != nil {
			t.Fatal(err)
		}
		return nccl.New(library)(ranks)
	}}.Run(t, types...)
}

// Each rank a process, as far as it can tell: all that they share are words, and the library.
func TestProcessesConform(t *testing.T) {
	const most = 4
	peers := job(t, most)
	var gpus simulated
	commtest.Devices{New: gpus.open, Most: most, Connect: func(t *testing.T, ranks int) []comm.Communicator {
		library, err := gpus.Collectives()
		if err != nil {
			t.Fatal(err)
		}
		cs, errs := make([]comm.Communicator, most), make([]error, most)
		var all sync.WaitGroup
		for i, p := range peers {
			all.Go(func() { cs[i], errs[i] = nccl.Join(library, p).Connect(ranks) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		return cs[:ranks]
	}}.Run(t, types...)
}

// job is so many processes in this one.
func job(t *testing.T, size int) []comm.Peers {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	master := l.Addr().String()
	l.Close()
	peers, errs := make([]comm.Peers, size), make([]error, size)
	var all sync.WaitGroup
	for r := range size {
		all.Go(func() { peers[r], errs[r] = env.Start(env.Launch{Rank: r, Size: size, Master: master}) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range peers {
			all.Go(func() { p.Stop() })
		}
		all.Wait()
	})
	return peers
}

// failing is a library that names no groups, and groups that fail by themselves.
type failing struct {
	driver.Collectives
	names error
	later func() error
}

func (f *failing) NewID() ([]byte, error) {
	if f.names != nil {
		return nil, f.names
	}
	return f.Collectives.NewID()
}

func (f *failing) Join(id []byte, ranks int, seats []driver.Seat) ([]driver.Group, error) {
	groups, err := f.Collectives.Join(id, ranks, seats)
	for i := range groups {
		groups[i] = failingGroup{groups[i], f}
	}
	return groups, err
}

type failingGroup struct {
	driver.Group
	f *failing
}

func (g failingGroup) Err() error { return g.f.later() }

// What the library says of links and other processes, past all calls, ends the world; so does a name that cannot be made.
func TestFailuresOfTheLibraryEndTheWorld(t *testing.T) {
	var gpus simulated
	for want, f := range map[string]*failing{
		"no network":   {names: errors.New("no network"), later: func() error { return nil }},
		"link is down": {later: func() error { return errors.New("link is down") }},
	} {
		commtest.Devices{New: gpus.open, Connect: func(t *testing.T, ranks int) []comm.Communicator {
			library, err := gpus.Collectives()
			if err != nil {
				t.Fatal(err)
			}
			f.Collectives = library
			return nccl.New(f)(ranks)
		}}.World(t, 2, 1, func(r *commtest.Rank) error {
			for since := time.Now(); time.Since(since) < 10*time.Second; time.Sleep(time.Millisecond) {
				r.Barrier(r.Stream)
				if err := r.Stream.Sync(); err != nil {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %v, want %q", err, want)
					}
					return err
				}
			}
			t.Errorf("%s: the world goes on", want)
			return nil
		})
	}
}
