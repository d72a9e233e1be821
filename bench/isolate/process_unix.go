//go:build unix

package isolate

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running child, the leader of its own process group, so that ctrl-C on the terminal reaches the sweep alone.
type process struct {
	cmd       *exec.Cmd
	mark      string
	out, errs *os.File // read ends
	life      *os.File // write end of its standard input
	ended     chan error
	oomKills  int // before it began
}

// start begins a child with the pipes of the protocol.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, mark: rand.Text(), ended: make(chan error, 1), oomKills: oomKills()}
	var theirs [3]*os.File
	var err error
	for i, mine := range []**os.File{&p.life, &p.out, &p.errs} {
		var r, w *os.File
		if r, w, err = os.Pipe(); err != nil {
			return nil, err
		}
		if i == 0 {
			r, w = w, r
		}
		*mine, theirs[i] = r, w
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	cmd.Env = append(cmd.Environ(), Mark+"="+p.mark)
	cmd.SysProcAttr = attributes()
	started := make(chan error)
	go func() {
		// The kernel ends the child with the thread that started it, so the thread stays until the child has ended.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.ended <- cmd.Wait()
		}
	}()
	err = <-started
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		for _, f := range []*os.File{p.life, p.out, p.errs} {
			f.Close()
		}
	}
	return p, err
}

// wait returns how the child ended: by itself, or killed for one of the limits or for ctx. Nothing that it has started is left then.
func (p *process) wait(ctx context.Context, l limits) ending {
	var e ending
	var limit <-chan time.Time
	if l.all > 0 {
		t := time.NewTimer(l.all)
		defer t.Stop()
		limit = t.C
	}
	done := make(chan struct{})
	defer close(done)
	var stopped <-chan int
	if l.stopped > 0 {
		stopped = watchStopped(p.cmd.Process.Pid, l.stopped, done)
	}
	var lost <-chan string
	if l.lost != nil {
		lost = watchLost(func() string { return l.lost(p.cmd.Process.Pid) }, done)
	}
	var err error
	select {
	case err = <-p.ended:
	case <-limit:
		e.timedOut = true
		err = p.kill()
	case e.stopped = <-stopped:
		err = p.kill()
	case e.lost = <-lost:
		err = p.kill()
	case <-ctx.Done():
		err = p.kill()
	}
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) // what is left of its group
	killMarked(p.mark)
	p.life.Close()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.status = exit.ExitCode()
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.signal = unix.SignalName(ws.Signal())
		}
	}
	e.oomKilled = oomKills() > p.oomKills
	return e
}

// kill ends the child's process group and waits for its leader.
func (p *process) kill() error {
	_ = unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
	return <-p.ended
}

// Enter makes this process part of a case. The end of stdin, the pipe from the sweep, ends its process group at once. A process that was not given that
// pipe, as a rank other than the first under mpirun, passes nil: the end of whoever started it is then its end.
func Enter(stdin *os.File) {
	yieldToParent()
	if stdin == nil {
		return
	}
	go func() {
		buf := make([]byte, 1)
		for {
			if _, err := stdin.Read(buf); err != nil {
				break
			}
		}
		if unix.Getpgrp() == unix.Getpid() {
			_ = unix.Kill(0, unix.SIGKILL)
		}
		os.Exit(1)
	}()
}
