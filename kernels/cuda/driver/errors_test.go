package driver

import (
	"errors"
	"fmt"
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

func TestOnlyKernelFailuresAreSticky(t *testing.T) {
	sticky := map[Error]bool{ErrIllegalAddress: true, ErrLaunchTimeout: true, ErrMisalignedAddress: true, ErrLaunchFailed: true}
	for e := range messages {
		if e.Sticky() != sticky[e] {
			t.Errorf("%v: sticky is %t", e, e.Sticky())
		}
	}
	var code Error
	if !errors.As(fmt.Errorf("kernel add: %w", ErrLaunchFailed), &code) || !code.Sticky() {
		t.Error("a wrapped error lost its code")
	}
}
