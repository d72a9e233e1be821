//go:build gpu

package cudriver

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// Whichever of NCCL's calls fails, on whichever rank, whoever called is told which, and nothing is left. Only the stand-in fails when it is asked to.
func TestGPUCollectivesThatFail(t *testing.T) {
	if os.Getenv("OFPEAK_STANDIN") == "" {
		t.Skip("needs the stand-in for the driver: make test-cuda")
	}
	if err := collectivesOnce(t); err != nil {
		t.Fatal(err)
	}
	for call, times := range map[string]int{
		"ncclGetUniqueId": 1, "ncclGroupStart": 3, "ncclGroupEnd": 3, "ncclCommInitRank": 2, "ncclCommSplit": 2, "ncclCommUserRank": 4, "ncclCommCount": 4, "ncclAllReduce": 2,
		"ncclReduceScatter": 2, "ncclAllGather": 2, "ncclBroadcast": 2, "ncclSend": 2, "ncclRecv": 2, "ncclCommGetAsyncError": 2, "ncclCommDestroy": 4,
	} {
		for n := 1; n <= times; n++ {
			t.Setenv("OFPEAK_STANDIN_FAIL", call+":"+string(rune('0'+n)))
			if err := collectivesOnce(t); err == nil || !strings.Contains(err.Error(), "nccl") {
				t.Errorf("call %d of %s failed: got %v", n, call, err)
			}
		}
	}
	t.Setenv("OFPEAK_STANDIN_FAIL", "")
	if err := collectivesOnce(t); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// collectivesOnce makes every kind of call between two devices, gives up at the first failure, and closes the devices, of which nothing must be left.
func collectivesOnce(t *testing.T) (err error) {
	t.Helper()
	d := New()
	library, err := d.Collectives()
	if err != nil {
		t.Fatal(err)
	}
	var seats []driver.Seat
	for i := range 2 {
		c, err := d.NewContext(i)
		if err != nil {
			t.Fatal(err)
		}
		seats = append(seats, driver.Seat{Rank: i, Context: c})
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}()
	}
	id, err := library.NewID()
	if err != nil {
		return err
	}
	groups, err := library.Join(id, 2, seats)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endAll(groups, err)) }()
	halves, err := library.Split([]driver.Part{{Group: groups[0]}, {Group: groups[1]}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endAll(halves, err)) }()
	errs := make([]error, 2)
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() {
			if errs[i] = callAll(g, seats[i].Context); errs[i] != nil {
				errs[i] = errors.Join(errs[i], endAll(groups, errs[i])) // or the other would wait for ever
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func callAll(g driver.Group, c driver.Context) (err error) {
	s, err := c.NewStream()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	p, err := c.Alloc(64)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Free(p)) }()
	peer := 1 - g.Rank()
	for _, calls := range [][]driver.Collective{
		{{Op: driver.AllReduce}}, {{Op: driver.ReduceScatter}}, {{Op: driver.AllGather}}, {{Op: driver.Broadcast}}, {{Op: driver.Send, Peer: peer}, {Op: driver.Recv, Peer: peer}},
	} {
		for i := range calls {
			calls[i].Src, calls[i].Dst, calls[i].N, calls[i].Type = p, p+32, 2, driver.Float32
		}
		if err := g.Enqueue(s, calls...); err != nil {
			return err
		}
	}
	return g.Err()
}

// endAll closes groups, or aborts them after a failure.
func endAll(groups []driver.Group, failure error) error {
	var errs []error
	for _, g := range groups {
		if failure != nil {
			errs = append(errs, g.Abort())
		} else {
			errs = append(errs, g.Close())
		}
	}
	return errors.Join(errs...)
}
