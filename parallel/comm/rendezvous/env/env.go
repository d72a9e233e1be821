// Package env is how processes meet that were told of each other by environment variables, as torchrun and many job scripts set them: RANK, WORLD_SIZE, MASTER_ADDR and
// MASTER_PORT, and LOCAL_RANK, the number among those of a host (PyTorch documentation, "Distributed communication package", environment variable initialization). All keep a
// connection to the first process.
//
// It carries words, not tensors: the bytes that one process shares with all, such as the name of NCCL's group, and that a world has ended.
package env

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Launch is what the environment says.
type Launch struct {
	Rank, Size int
	LocalRank  int    // -1: not told
	Master     string // address and port of the first process
}

// Launched reports whether the environment names a job of several processes, and whether what it says makes sense.
func Launched() (l Launch, found bool, err error) {
	l.LocalRank = -1
	size, addr, port := os.Getenv("WORLD_SIZE"), os.Getenv("MASTER_ADDR"), os.Getenv("MASTER_PORT")
	if os.Getenv("RANK") == "" || size == "" || addr == "" || port == "" {
		return l, false, nil
	}
	for _, number := range []struct {
		name string
		to   *int
		more int // than this is wrong; 0: any
	}{{"WORLD_SIZE", &l.Size, 0}, {"RANK", &l.Rank, 0}, {"LOCAL_RANK", &l.LocalRank, 0}} {
		text := os.Getenv(number.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return l, true, fmt.Errorf("%s=%q is no number", number.name, text)
		}
		*number.to = n
	}
	if l.Size < 1 || l.Rank >= l.Size {
		return l, true, fmt.Errorf("RANK=%d does not lie in WORLD_SIZE=%d", l.Rank, l.Size)
	}
	l.Master = net.JoinHostPort(addr, port)
	return l, l.Size > 1, nil
}

// How long processes wait for each other at the start, how often they tell that they live, and how long one may be silent.
const (
	Patience = time.Minute
	pulse    = 500 * time.Millisecond
	silence  = 5 * time.Second
)

// Start meets the other processes.
func Start(l Launch) (*World, error) {
	w := newWorld(l.Rank, l.Size)
	var err error
	if l.Rank == 0 {
		err = w.listen(l.Master)
	} else {
		err = w.dial(l.Master)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rank %d of %d at %s: %w", l.Rank, l.Size, l.Master, err), w.hangUp())
	}
	w.start()
	return w, nil
}

// listen takes the connection of every other process. It listens on the port of all addresses, since the master's may be another host's name for this one.
func (w *World) listen(master string) error {
	_, port, err := net.SplitHostPort(master)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	defer l.Close()
	until := time.Now().Add(Patience)
	if err := l.(*net.TCPListener).SetDeadline(until); err != nil {
		return err
	}
	for missing := w.size - 1; missing > 0; {
		c, err := l.Accept()
		if err != nil {
			return fmt.Errorf("%d of the others have not come: %w", missing, err)
		}
		if w.welcome(c, until) {
			missing--
		} else {
			c.Close() // no process of this job
		}
	}
	return nil
}

// welcome takes a connection if a rank of this job that is not there yet says that it is at its other end.
func (w *World) welcome(c net.Conn, until time.Time) bool {
	c.SetReadDeadline(time.Now().Add(min(5*time.Second, time.Until(until))))
	h, err := read(c)
	if err != nil || h.kind != hello || int(h.number) != w.size || h.rank <= 0 || h.rank >= w.size || w.peers[h.rank] != nil {
		return false
	}
	c.SetReadDeadline(time.Time{})
	w.peers[h.rank] = &peer{conn: c, heard: time.Now()}
	return true
}

// dial connects to the first process, which may start later.
func (w *World) dial(master string) error {
	for until := time.Now().Add(Patience); ; time.Sleep(100 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", master, time.Until(until))
		if err == nil {
			w.peers[0] = &peer{conn: c, heard: time.Now()}
			return w.peers[0].write(message{kind: hello, rank: w.rank, number: int64(w.size)})
		}
		if time.Now().After(until) {
			return fmt.Errorf("the first process does not answer: %w", err)
		}
	}
}
