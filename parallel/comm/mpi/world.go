//go:build mpi

package mpi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ofpeak/parallel/comm"
)

// Built reports whether this build can open an MPI library.
const Built = true

// World is this process among those of its job. One process has one World, for MPI starts once.
type World struct {
	lib        *library
	launch     Launch
	cores      int // that this host's processes share
	rank, size int
	version    string

	mu      sync.Mutex
	worlds  int64            // made by Connect so far; the number of the current one
	current *fault           // of the world that is connected, or nil
	aborted map[int64]string // worlds that were aborted elsewhere before they were connected here
	lost    error            // a process is gone, or stuck

	base  *communicator // all processes
	watch *watch
}

// Start opens the MPI library of the launcher that started this process, and meets the other processes. A world that stands still for as long as stall, unless
// that is 0, is aborted. Its errors say what is missing.
func Start(stall time.Duration) (comm.Processes, error) {
	l, ok := Launched()
	if !ok {
		return nil, errors.New("no MPI launcher started this process")
	}
	lib, err := open(l.Flavors)
	if err != nil {
		return nil, err
	}
	keepStatus(l, "meeting the others")
	w := &World{lib: lib, launch: l, cores: cores(), aborted: map[int64]string{}}
	if err := w.lib.init(w); err != nil {
		return nil, fmt.Errorf("MPI does not start: %w", err)
	}
	if l.Processes > 1 && w.size == 1 {
		return nil, fmt.Errorf("%s started %d processes, but %s does not see the others: start it with the launcher of this MPI, or srun with --mpi=pmix or --mpi=pmi2", l.By, l.Processes, w.version)
	}
	w.base = newCommunicator(w, &fault{stop: w.lib.newFlag(), journal: &comm.Journal{}}, nil, w.rank, w.size)
	w.watch = startWatch(w, stall)
	return w, nil
}

// Rank is this process's number.
func (w *World) Rank() int { return w.rank }

// Size is the number of processes.
func (w *World) Size() int { return w.size }

// crowded reports whether this host has fewer cores than processes of the job, as far as is known.
func (w *World) crowded() bool { return cmp.Or(w.launch.LocalSize, w.size) > w.cores }

// Version names the MPI library, such as "Open MPI 4.1.4".
func (w *World) Version() string { return w.version }

// Connect makes a world of the first so many processes. All processes call it, and wait for each other; those outside of it get nil.
func (w *World) Connect(ranks int) (comm.Communicator, error) {
	if ranks < 1 || ranks > w.size {
		return nil, fmt.Errorf("a world of %d ranks does not fit %d processes", ranks, w.size)
	}
	if err := w.Lost(); err != nil {
		return nil, err
	}
	f := w.newFault(ranks)
	base := newCommunicator(w, f, nil, w.rank, w.size)
	color := -1
	if w.rank < ranks {
		color = 0
	}
	c, err := base.split(color, w.rank)
	if c == nil || err != nil {
		return nil, err
	}
	return c, nil
}

// watched is the state of the world that is connected, or of the job.
func (w *World) watched() *fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.current == nil {
		return w.base.f
	}
	return w.current
}

// newFault begins the next world, which may have been aborted already.
func (w *World) newFault(ranks int) *fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.worlds++
	f := &fault{id: w.worlds, ranks: ranks, stop: w.lib.newFlag(), journal: &comm.Journal{}}
	w.current = f
	if why, ok := w.aborted[f.id]; ok {
		f.set(errors.New(why))
	}
	return f
}

// Release frees the communicators of the last Connect, unless that world was aborted: then MPI may still hold them. All processes call it.
func (w *World) Release() error {
	w.mu.Lock()
	f := w.current
	w.current = nil
	w.mu.Unlock()
	if f == nil || f.get() != nil {
		return nil
	}
	var errs []error
	for i := len(f.made) - 1; i >= 0; i-- {
		errs = append(errs, w.lib.close(f.made[i]))
	}
	w.lib.freeFlag(f.stop)
	return errors.Join(errs...)
}

// Share gives everyone the first process's bytes; see comm.Processes. It looks for them ever more seldom, so that those who wait keep nobody from work.
func (w *World) Share(ctx context.Context, b []byte) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { w.base.f.set(context.Cause(ctx)) })
	defer stop()
	size := []int32{int32(len(b))}
	if err := w.base.send(size); err != nil {
		return nil, err
	}
	if w.rank != 0 {
		b = make([]byte, size[0])
	}
	if len(b) == 0 {
		return b, nil
	}
	return b, w.base.send(b)
}

// Lost is why the job cannot go on; see comm.Processes.
func (w *World) Lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// lose notes that the job cannot go on.
func (w *World) lose(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost == nil {
		w.lost = err
	}
}

// Stop leaves MPI. All processes call it.
func (w *World) Stop() error {
	w.watch.end()
	return w.lib.finalize()
}

// patience is how long a launcher may take to end a job.
const patience = time.Second

// Die ends all processes of the job at once, with an exit status. MPI has the launcher do it. One that does not is told so itself, and this process ends anyway, as all others do
// that hear of no abort any more.
func (w *World) Die(status int) {
	time.AfterFunc(patience, func() {
		if launcher := os.Getppid(); launcher > 1 {
			_ = syscall.Kill(launcher, syscall.SIGTERM) // another user's, perhaps
		}
		os.Exit(status)
	})
	w.lib.die(status)
}

// shortVersion is the name and number of a library's own long description.
func shortVersion(long string) string {
	long, _, _ = strings.Cut(long, "\n")
	if rest, ok := strings.CutPrefix(long, "Open MPI v"); ok {
		number, _, _ := strings.Cut(rest, ",")
		return "Open MPI " + number
	}
	if rest, ok := strings.CutPrefix(long, "MPICH Version:"); ok {
		return "MPICH " + strings.TrimSpace(rest)
	}
	return strings.Join(strings.Fields(long), " ")
}

// fault is the state of one world: nobody has aborted it until stop is set.
type fault struct {
	id      int64
	ranks   int
	stop    *int32 // in C's memory, where the calls that wait look
	journal *comm.Journal

	mu   sync.Mutex
	err  error
	made []handle
}

// abandoned are calls that MPI may still carry out in part, into memory that must stay.
var abandoned struct {
	sync.Mutex
	batches []*batch
}

func abandon(b *batch) {
	abandoned.Lock()
	abandoned.batches = append(abandoned.batches, b)
	abandoned.Unlock()
}

// set reports whether this is the abort that counts.
func (f *fault) set(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return false
	}
	f.err = fmt.Errorf("%w: %w", comm.ErrAborted, err)
	atomic.StoreInt32(f.stop, 1)
	return true
}

func (f *fault) get() error {
	if atomic.LoadInt32(f.stop) == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fault) keep(h handle) {
	f.mu.Lock()
	f.made = append(f.made, h)
	f.mu.Unlock()
}

// abort ends a world here and tells all other processes. lost says that one of them will not come back from it.
func (w *World) abort(f *fault, err error, lost bool) {
	if lost {
		w.lose(err)
	}
	if f.set(err) {
		w.watch.spread(f.id, err, lost)
	}
}

// aborts is told by another process that a world has ended.
func (w *World) aborts(id int64, why string, lost bool) {
	if lost {
		w.lose(errors.New(why))
	}
	w.mu.Lock()
	f := w.current
	if f == nil || f.id != id {
		w.aborted[id] = why
		f = nil
	}
	w.mu.Unlock()
	if f != nil {
		f.set(errors.New(why))
	}
}
