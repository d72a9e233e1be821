package gemm

import (
	"strings"
	"testing"
)

// fetches makes the next n fetches of a walk, as tiles do.
func (w *walk) fetches(n int) (lines []uintptr) {
	for range n {
		lines = append(lines, w.at/lineBytes)
		w.at += lineBytes
		if w.left--; w.left == 0 {
			w.at += uintptr(w.jump)
			w.left = w.run
		}
	}
	return lines
}

// TestStretch checks that a stretch's fetches are its lines of memory, row by row.
func TestStretch(t *testing.T) {
	values := make([]float32, 200*80)
	for _, tc := range []struct {
		lines, k, stride int
		trans            bool
	}{
		{8, 64, 80, false}, {8, 80, 80, false}, {150, 40, 80, true}, {1, 80, 80, false}, {40, 200, 80, true}, {0, 80, 80, false}, {9, 0, 80, true},
	} {
		m := NewF32(values, tc.stride)
		if tc.trans {
			m = m.T()
		}
		v := m.rowView()
		var want []uintptr
		along, rows := tc.k, tc.lines
		if tc.trans {
			along, rows = rows, along
		}
		for row := range rows {
			for i := range along {
				at := uintptr(v.base) + uintptr(4*(row*tc.stride+i))
				if line := at / lineBytes; i == 0 || line != want[len(want)-1] {
					want = append(want, line)
				}
			}
		}
		s := stretchOf(v, tc.lines, tc.k, 4)
		if s.lines != len(want) {
			t.Fatalf("%+v: %d lines, want %d", tc, s.lines, len(want))
		}
		for i, line := range s.fetches(s.lines) {
			if line != want[i] {
				t.Fatalf("%+v: fetch %d is of line %#x, want %#x", tc, i, line, want[i])
			}
		}
	}
}

// TestFetcher checks which of its stretches a fetcher walks.
func TestFetcher(t *testing.T) {
	values := make([]float32, 1000)
	m := NewF32(values, 10)
	first, sums, then := stretchOf(m.rowView(), 4, 10, 4), stretchOf(m.rowView(), 20, 10, 4), stretchOf(m.rowView(), 50, 10, 4)
	f := fetcher{first: first, sums: sums, then: then}
	for i, want := range []*uintptr{&f.first.at, &f.first.at, &f.sums.at, &f.then.at, &f.idle.at, &f.idle.at} {
		n := []int{1, first.lines, sums.lines, then.lines, 5, 7}[i]
		if got := f.walk(new(uint32), n); got != want {
			t.Fatalf("walk %d is another", i)
		}
	}
	if f.idle.left != 8 || f.idle.at == 0 {
		t.Fatalf("idle walk %+v", f.idle)
	}
}

// TestTilesWalk checks that tiles in assembly for x86 move a walk on by as many lines as
// their engine says.
func TestTilesWalk(t *testing.T) {
	for _, k := range []int{1, 3, 4, 5, 8, 9, 13} {
		testTilesWalk(t, k, 3)
	}
}

func testTilesWalk(t *testing.T, k, segs int) {
	a, b, c := make([]uint32, 2*panel*k*segs), make([]uint32, 100*k*segs), make([]uint32, panel*100)
	seg := []uint32{0, 64, 128}
	for typ := range variants {
		for _, e := range variants[typ] {
			if !strings.HasPrefix(e.name, "avx") {
				continue
			}
			for v := range e.tiles {
				start := walk{at: 1 << 20, left: 2, run: 5, jump: 4096}
				got, want := start, start
				e.tiles[v](k, segs, &seg[0], &a[0], &b[0], &c[0], 100, 1, 1, 0, &got.at)
				want.fetches(e.fetches(k, segs))
				if got != want {
					t.Errorf("%s, %d vectors, %d units: the walk is at %+v, want %+v", e.name, v+1, k, got, want)
				}
				if e.inPlace == nil {
					continue
				}
				got = start
				e.inPlace[v](k, segs, &seg[0], &a[0], 4, &b[0], &c[0], 100, 1, 1, 0, &got.at)
				if got != want {
					t.Errorf("%s, %d vectors in place, %d units: the walk is at %+v, want %+v", e.name, v+1, k, got, want)
				}
			}
		}
	}
}
