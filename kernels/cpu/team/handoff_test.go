package team

import "testing"

// Between two cores a line takes from some cycles to the time of a network, if they can be had at all.
func TestHandoff(t *testing.T) {
	cores, err := Cores()
	if err != nil || len(cores) < 2 {
		t.Skipf("two cores are needed: %v, %v", cores, err)
	}
	for range 20 {
		if ns, known := Handoff(cores[0], cores[1]); known {
			if ns < 1 || ns > 1e5 {
				t.Errorf("%g ns", ns)
			}
			return
		}
	}
	t.Skip("a core was never free")
}

// A core that does not exist is not waited for beyond the limit.
func TestHandoffWithoutACore(t *testing.T) {
	const none = 1 << 9
	for _, cores := range [][2]int{{none, 0}, {0, none}} {
		if ns, known := Handoff(cores[0], cores[1]); known {
			t.Errorf("cores %v: %g ns", cores, ns)
		}
	}
}
