package parallel

import (
	"encoding/binary"
	"time"

	"ofpeak/kernels"
)

// readings is how often two clocks are compared; the quickest comparison counts.
const readings = 8

// ClockOffset is by how much this rank's clock is ahead of rank 0's. An answer that came in a time t tells the difference of two clocks within t/2 (Cristian, "Probabilistic
// clock synchronization", Distributed Computing 3, 1989, section 3); one that is within its own uncertainty, as between processes of one host, counts as none. All ranks call it,
// with idle streams; now reads the clock.
func (r *Rank) ClockOffset(now func() time.Time) (time.Duration, error) {
	if r.ID != 0 {
		return r.tellClock(now)
	}
	for peer := 1; peer < r.World; peer++ {
		if err := r.compareClock(now, peer); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// compareClock asks another rank for the time again and again, and tells it by how much it is ahead.
func (r *Rank) compareClock(now func() time.Time, peer int) error {
	best, offset := time.Duration(0), time.Duration(0)
	for i := range readings {
		begin := now()
		if err := r.number(peer, true, new(int64)); err != nil {
			return err
		}
		var theirs int64
		if err := r.number(peer, false, &theirs); err != nil {
			return err
		}
		took := now().Sub(begin)
		if i > 0 && took >= best {
			continue
		}
		best, offset = took, time.Unix(0, theirs).Sub(begin.Add(took/2))
		if offset.Abs() <= took/2 {
			offset = 0
		}
	}
	told := int64(offset)
	return r.number(peer, true, &told)
}

// tellClock is the other side of compareClock.
func (r *Rank) tellClock(now func() time.Time) (time.Duration, error) {
	var n int64
	for range readings {
		if err := r.number(0, false, &n); err != nil {
			return 0, err
		}
		n = now().UnixNano()
		if err := r.number(0, true, &n); err != nil {
			return 0, err
		}
	}
	err := r.number(0, false, &n)
	return time.Duration(n), err
}

// number sends n to another rank, or receives it.
func (r *Rank) number(peer int, sends bool, n *int64) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(*n))
	call := func(x kernels.Tensor) { r.All.Recv(r.Compute, x, peer) }
	if sends {
		call = func(x kernels.Tensor) { r.All.Send(r.Compute, x, peer) }
	}
	err := r.message(b, call, sends)
	*n = int64(binary.LittleEndian.Uint64(b))
	return err
}
