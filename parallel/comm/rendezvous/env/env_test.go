package env

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/parallel/comm"
)

// job starts so many processes, all in this one, and leaves it after the test.
func job(t *testing.T, size int) []*World {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	master := l.Addr().String()
	l.Close()
	ws, errs := make([]*World, size), make([]error, size)
	var all sync.WaitGroup
	for r := range size {
		all.Go(func() { ws[r], errs[r] = Start(Launch{Rank: r, Size: size, Master: master}) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return ws
}

// each runs f for every process at once.
func each(t *testing.T, ws []*World, f func(w *World) error) {
	t.Helper()
	errs := make([]error, len(ws))
	var all sync.WaitGroup
	for i, w := range ws {
		all.Go(func() { errs[i] = f(w) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("hangs")
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func stop(t *testing.T, ws []*World) {
	t.Helper()
	each(t, ws, (*World).Stop)
}

func TestSharedBytesReachAllInOrder(t *testing.T) {
	ws := job(t, 3)
	each(t, ws, func(w *World) error {
		for i := range 20 {
			text := strings.Repeat(fmt.Sprint(i), i*1000) // the first is empty
			var b []byte
			if w.Rank() == 0 {
				b = []byte(text)
			}
			if got, err := w.Share(t.Context(), b); err != nil || string(got) != text || w.Size() != 3 {
				return fmt.Errorf("rank %d of %d got %d bytes for %d, %v", w.Rank(), w.Size(), len(got), len(text), err)
			}
		}
		return nil
	})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("long enough"))
	defer cancel()
	if _, err := ws[1].Share(ctx, nil); err == nil || err.Error() != "long enough" {
		t.Errorf("waiting for nothing ended with %v", err)
	}
	stop(t, ws)
}

// An abort of any rank reaches the others, in the world that it is about and in no other, also where it begins only later.
func TestAbortsReachAll(t *testing.T) {
	ws := job(t, 3)
	for round, from := range []int{0, 1, 2} {
		why := fmt.Sprintf("rank %d died in world %d", from, round)
		each(t, ws, func(w *World) error {
			if w.Rank() == (from+1)%3 {
				time.Sleep(50 * time.Millisecond) // comes late
			}
			f, err := w.World(3)
			if err != nil {
				return err
			}
			if w.Rank() == from {
				f.Abort(errors.New(why))
			}
			for f.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			if err := f.Err(); !errors.Is(err, comm.ErrAborted) || !strings.Contains(err.Error(), why) {
				return fmt.Errorf("rank %d: %w", w.Rank(), err)
			}
			return w.Release()
		})
	}
	each(t, ws, func(w *World) error {
		f, err := w.World(2)
		if err != nil || (f == nil) != (w.Rank() == 2) {
			return fmt.Errorf("rank %d in a world of two: %v, %v", w.Rank(), f, err)
		}
		if f != nil && f.Err() != nil {
			return fmt.Errorf("a new world has ended: %w", f.Err())
		}
		if _, err := w.World(4); err == nil {
			return errors.New("a world of four fits three processes")
		}
		return w.Lost()
	})
	stop(t, ws)
}

// A process that is gone costs all others the job, and the world that is under way.
func TestALostProcessIsTold(t *testing.T) {
	ws := job(t, 3)
	fates := make([]comm.Fate, 3)
	each(t, ws, func(w *World) (err error) {
		fates[w.Rank()], err = w.World(3)
		return err
	})
	if err := ws[2].hangUp(); err != nil {
		t.Fatal(err)
	}
	each(t, ws[:2], func(w *World) error {
		for fates[w.Rank()].Err() == nil || w.Lost() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := fates[w.Rank()].Err(); !strings.Contains(err.Error(), "rank 2 is gone") {
			return err
		}
		if _, err := w.Share(t.Context(), nil); err == nil {
			return errors.New("the job goes on")
		}
		if _, err := w.World(2); err == nil {
			return errors.New("another world begins")
		}
		return nil
	})
	stop(t, ws[:2])
}

func TestASilentProcessIsTold(t *testing.T) {
	t.Parallel()
	ws := job(t, 2)
	close(ws[1].quit) // it tells nothing any more
	for since := time.Now(); ws[0].Lost() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(since) > 4*silence {
			t.Fatal("nobody notices")
		}
	}
	if err := ws[0].Lost(); !strings.Contains(err.Error(), "rank 1 silent for 5.") {
		t.Error(err)
	}
	ws[0].hangUp()
}

func TestOneEndsAll(t *testing.T) {
	ws := job(t, 3)
	ends := make(chan int, 9)
	for _, w := range ws {
		w.exit = func(status int) { ends <- status }
	}
	ws[1].Die(7)
	for range ws {
		if status := <-ends; status != 7 {
			t.Errorf("ended with %d", status)
		}
	}
	stop(t, ws)
}

// Strangers that find the port do not become part of the job.
func TestStrangersAreSentAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	master := l.Addr().String()
	l.Close()
	w := make(chan *World)
	go func() {
		first, err := Start(Launch{Size: 2, Master: master})
		if err != nil {
			t.Error(err)
		}
		w <- first
	}()
	for _, says := range [][]byte{[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), message{kind: hello, rank: 2, number: 2}.bytes(), message{kind: hello, rank: 1, number: 3}.bytes(),
		message{kind: shared, rank: 1, number: 2}.bytes()} {
		var c net.Conn
		for c == nil {
			c, _ = net.Dial("tcp", master)
		}
		c.Write(says)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q was answered", says)
		}
		c.Close()
	}
	second, err := Start(Launch{Rank: 1, Size: 2, Master: master})
	if err != nil {
		t.Fatal(err)
	}
	stop(t, []*World{<-w, second})
}

func TestLaunched(t *testing.T) {
	for _, c := range []struct {
		name, rank, size, addr, port, local string
		want                                Launch
		found                               bool
		err                                 string
	}{
		{name: "alone", want: Launch{LocalRank: -1}},
		{"torchrun", "3", "8", "host1", "29500", "1", Launch{3, 8, 1, "host1:29500"}, true, ""},
		{"one of one", "0", "1", "::1", "29500", "", Launch{0, 1, -1, "[::1]:29500"}, false, ""},
		{"no port", "0", "2", "host1", "", "", Launch{LocalRank: -1}, false, ""},
		{"past the end", "8", "8", "host1", "1", "", Launch{8, 8, -1, ""}, true, "RANK=8 does not lie in WORLD_SIZE=8"},
		{"no number", "0", "many", "host1", "1", "", Launch{0, 0, -1, ""}, true, `WORLD_SIZE="many" is no number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range map[string]string{"RANK": c.rank, "WORLD_SIZE": c.size, "MASTER_ADDR": c.addr, "MASTER_PORT": c.port, "LOCAL_RANK": c.local} {
				t.Setenv(name, value)
			}
			l, found, err := Launched()
			if l != c.want || found != c.found || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("got %+v, %v, %v", l, found, err)
			}
		})
	}
}
