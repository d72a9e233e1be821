package isa

import (
	"runtime"
	"testing"
)

func TestProcessor(t *testing.T) {
	for _, c := range []struct {
		brand         string
		family, model int
		want          string
	}{
		{"AMD EPYC", 26, 2, "AMD EPYC (family 26, model 2)"},
		{"AMD EPYC", 25, 17, "AMD EPYC (family 25, model 17)"},
		{"AMD  EPYC 9654 96-Core Processor ", 25, 17, "AMD EPYC 9654 96-Core Processor"},
		{"Neoverse", 0, 0, "Neoverse"},
		{"", 0, 0, runtime.GOARCH},
	} {
		if got := processor(c.brand, c.family, c.model); got != c.want {
			t.Errorf("%q is named %q, not %q", c.brand, got, c.want)
		}
	}
	if Processor() == "" {
		t.Error("this processor has no name")
	}
}
