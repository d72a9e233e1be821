package nccl

import (
	"errors"
	"testing"
	"time"

	"ofpeak/parallel/comm/rendezvous"
)

// laterFate is that of a world of processes which say why it has ended.
type laterFate struct{ *rendezvous.Fault }

func (f laterFate) Err() error      { return f.Get() }
func (f laterFate) Abort(err error) { f.Set(err) }

// A library that has lost a process does not know which: what the processes say goes before, also where it comes a little later.
func TestCauseIsWhatTheProcessesSay(t *testing.T) {
	library, gone := errors.New("remote process exited"), errors.New("rank 1 is gone")
	apart := func() (*world, *rendezvous.Fault) {
		w, fault := newWorld(nil, nil), rendezvous.NewFault()
		w.apart = laterFate{fault}
		return w, fault
	}
	w, fault := apart()
	time.AfterFunc(word/10, func() { fault.Set(gone) })
	if err := w.cause(library); !errors.Is(err, gone) {
		t.Errorf("%v, want %v", err, gone)
	}
	w, _ = apart()
	if err := w.cause(library); err != library {
		t.Errorf("with nobody lost: %v", err)
	}
	if err := newWorld(nil, nil).cause(library); err != library {
		t.Errorf("of one process: %v", err)
	}
}
