package driver

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestErrorsNameTheirCode(t *testing.T) {
	for e, want := range map[Error]string{
		ErrOutOfMemory:    "cuda: out of device memory (2)",
		ErrIllegalAddress: "cuda: illegal address (700)",
		Error(999):        "cuda: error 999",
	} {
		if e.Error() != want {
			t.Errorf("%d: got %q, want %q", int(e), e.Error(), want)
		}
	}
}

// The codes of which CUDA's documentation says that the process must be ended; ours of a context that is lost until it is opened again.
func TestOnlyFailuresOfKernelsAndHardwareAreSticky(t *testing.T) {
	sticky := []Error{214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719}
	for e := range messages {
		if e.Sticky() != slices.Contains(sticky, e) {
			t.Errorf("%v: sticky is %t", e, e.Sticky())
		}
	}
	for _, e := range sticky {
		if _, named := messages[e]; !named || !e.Sticky() {
			t.Errorf("%v has a name: %t, is sticky: %t", e, named, e.Sticky())
		}
	}
	var code Error
	if !errors.As(fmt.Errorf("kernel add: %w", ErrLaunchFailed), &code) || !code.Sticky() {
		t.Error("a wrapped error lost its code")
	}
}
