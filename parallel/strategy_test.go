package parallel

import (
	"strings"
	"testing"
)

func TestStrategyCheck(t *testing.T) {
	for _, c := range []struct {
		s            Strategy
		world, batch int
		want         string // part of the error; "" for none
	}{
		{Strategy{}, 1, 7, ""},
		{Strategy{DP: 2, TP: 2, PP: 2, Microbatches: 4}, 8, 16, ""},
		{Strategy{DP: 3}, 3, 9, ""},
		{Strategy{DP: 2, TP: 2}, 6, 8, "use 4 ranks"},
		{Strategy{DP: 2}, 1, 8, "use 2 ranks"},
		{Strategy{PP: 2, Schedule: "zigzag"}, 2, 8, "gpipe, 1f1b"},
		{Strategy{DP: 2, Microbatches: 4}, 2, 12, "use a batch of 16"},
		{Strategy{DP: 4}, 4, 3, "use a batch of 4"},
		{Strategy{DP: 2, CP: 3, ZeRO: 2}, 6, 2, ""},
		{Strategy{CP: 2, ZeRO: 3}, 2, 1, ""},
		{Strategy{CP: 2}, 4, 8, "use 2 ranks"},
		{Strategy{CP: -1}, 1, 8, "cannot be negative"},
		{Strategy{DP: -1}, 1, 8, "cannot be negative"},
		{Strategy{BucketBytes: -1}, 1, 8, "cannot be negative"},
	} {
		err := c.s.Check(c.world, c.batch)
		if c.want == "" {
			if err != nil {
				t.Errorf("%v on %d ranks: %v", c.s, c.world, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v on %d ranks, batch %d: %v, want one line with %q", c.s, c.world, c.batch, err, c.want)
		}
	}
}

func TestStrategyString(t *testing.T) {
	for want, s := range map[string]Strategy{
		"one rank":            {},
		"dp2":                 {DP: 2, TP: 1},
		"dp2·tp3·pp4 1f1b m8": {DP: 2, TP: 3, PP: 4, Microbatches: 8},
		"tp2·cp4":             {TP: 2, CP: 4},
		"pp2 gpipe m2":        {PP: 2, Schedule: "gpipe", Microbatches: 2},
	} {
		if got := s.String(); got != want {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
}

func TestMesh(t *testing.T) {
	m := Mesh{DP: 3, TP: 2, PP: 4, EP: 1, CP: 2}
	if m.World() != 48 {
		t.Fatalf("world of %d", m.World())
	}
	for rank := range m.World() {
		if got := m.Rank(m.Coord(rank)); got != rank {
			t.Errorf("rank %d is at %+v, which is rank %d", rank, m.Coord(rank), got)
		}
	}
	for rank, want := range map[int]Coord{0: {}, 1: {TP: 1}, 2: {CP: 1}, 4: {DP: 1}, 12: {PP: 1}, 47: {DP: 2, TP: 1, PP: 3, CP: 1}} {
		if got := m.Coord(rank); got != want {
			t.Errorf("rank %d is at %+v, want %+v", rank, got, want)
		}
	}
}
