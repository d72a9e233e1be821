package peak

import (
	"testing"
	"time"

	"ofpeak/kernels/cpu/team"
)

func TestRates(t *testing.T) {
	tm := team.NewUnpinned(2)
	defer tm.Close()
	rates := Rates(tm, 5*time.Millisecond)
	for _, r := range rates {
		t.Logf("%-8s %-10s one %7.1f all %7.1f Gop/s", r.Type, r.Variant, r.One, r.All)
		if r.One < 1e-3 || r.One > 1e5 || r.All < 1e-3 || r.All > 1e5 {
			t.Errorf("%+v is out of all reason", r)
		}
	}
	for _, typ := range []string{"float32", "int8"} {
		if r, ok := Find(rates, typ, "go"); !ok || r.One <= 0 {
			t.Errorf("no portable rate of %s", typ)
		}
	}
	var typed []string
	for _, r := range TeamRates(tm, "float32", 5*time.Millisecond) {
		if _, ok := Find(rates, "float32", r.Variant); !ok || r.Type != "float32" || r.One != 0 || r.All < 1e-3 || r.All > 1e5 {
			t.Errorf("of float32: %+v", r)
		}
		typed = append(typed, r.Variant)
	}
	if len(typed) == 0 || typed[0] != "go" || len(TeamRates(tm, "float8", time.Millisecond)) > 0 {
		t.Errorf("variants of float32: %q", typed)
	}
	portable, _ := Find(rates, "float32", "go")
	best, ok := Best(rates, "float32")
	if !ok || best.One < portable.One {
		t.Errorf("best float32 rate %+v is below the portable %+v", best, portable)
	}
	if _, ok := Best(rates, "float8"); ok {
		t.Error("found a rate of an unknown type")
	}
	if _, ok := Find(rates, "float32", "abacus"); ok {
		t.Error("found a rate of an unknown variant")
	}
}

func TestBandwidths(t *testing.T) {
	tm := team.NewUnpinned(2)
	defer tm.Close()
	list := Bandwidths(tm, 5*time.Millisecond, 48<<20)
	if len(list) != 2 || list[0].Kind != "read" || list[1].Kind != "triad" {
		t.Fatalf("got %+v", list)
	}
	for _, b := range list {
		t.Logf("%-6s one %6.1f all %6.1f GB/s", b.Kind, b.One, b.All)
		if b.One < 1e-3 || b.One > 1e4 || b.All < 1e-3 || b.Bytes > 48<<20 || b.Bytes < 47<<20 {
			t.Errorf("%+v is out of all reason", b)
		}
	}
}

// The streams must do the work that their figure counts.
func TestTriad(t *testing.T) {
	for _, size := range []int{1, 2, 3} {
		tm := team.NewUnpinned(size)
		s := stream{newArrays(12 * chunk * 7), "triad"}
		tm.Run(&s)
		tm.Close()
		for i := range s.a {
			if want := s.b[i] + 3*s.c[i]; s.a[i] != want {
				t.Fatalf("team of %d: a[%d] = %v, want %v", size, i, s.a[i], want)
			}
		}
		read(s.a, s.b, s.c)
		a := make([]float32, len(s.a))
		triadGo(a, s.b, s.c)
		readGo(a, s.b, s.c)
		for i := range a {
			if a[i] != s.a[i] {
				t.Fatalf("portable a[%d] = %v, want %v", i, a[i], s.a[i])
			}
		}
	}
}

func TestWorkingSet(t *testing.T) {
	if n := WorkingSet(); n < minWorkingSet || n > maxWorkingSet {
		t.Errorf("WorkingSet() = %d", n)
	}
}
