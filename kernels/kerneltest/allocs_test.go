package kerneltest

import "testing"

var kept []byte

func TestAllocsCountsTheLongRun(t *testing.T) {
	calls := 0
	for _, c := range []struct {
		name string
		f    func()
		want float64
	}{
		{"none", func() {}, 0},
		{"always", func() { kept = make([]byte, 100) }, 1},
		{"at first", func() {
			if calls++; calls < 30 {
				kept = make([]byte, 100)
			}
		}, 0},
	} {
		if n := Allocs(10, c.f); n != c.want {
			t.Errorf("%s: %v, want %v", c.name, n, c.want)
		}
	}
}
