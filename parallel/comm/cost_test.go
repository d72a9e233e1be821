package comm

import (
	"math"
	"testing"
	"time"
)

func TestBusFactor(t *testing.T) {
	for _, c := range []struct {
		op   Op
		p    int
		want float64
	}{
		{AllReduce, 1, 0}, {AllReduce, 2, 1}, {AllReduce, 4, 1.5}, {AllReduce, 8, 1.75},
		{ReduceScatter, 4, 0.75}, {AllGather, 4, 0.75}, {AllToAll, 8, 0.875},
		{Broadcast, 8, 1}, {SendRecv, 2, 1}, {Barrier, 4, 0},
	} {
		if got := BusFactor(c.op, c.p); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%v over %d ranks: %g, want %g", c.op, c.p, got, c.want)
		}
	}
}

func TestBandwidth(t *testing.T) {
	alg, bus := Bandwidth(AllReduce, 4, 3e9, 2*time.Second)
	if alg != 1.5e9 || bus != 2.25e9 {
		t.Errorf("algbw %g, busbw %g; want 1.5e9 and 2.25e9", alg, bus)
	}
}

func TestCounts(t *testing.T) {
	var a, b Counts
	a.Add(AllReduce, 100)
	a.Add(AllReduce, 20)
	b.Add(SendRecv, 3)
	sum := a.Plus(b)
	if sum.Total() != 123 || sum.Calls[AllReduce] != 2 || sum.Bytes[SendRecv] != 3 {
		t.Errorf("sum is %+v", sum)
	}
	if a.Total() != 120 {
		t.Error("Plus changed its operand")
	}
}

func TestOpNames(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range Ops {
		if seen[op.String()] {
			t.Errorf("%v twice", op)
		}
		seen[op.String()] = true
	}
	if len(seen) != int(opCount) {
		t.Errorf("%d of %d collectives listed", len(seen), opCount)
	}
}
