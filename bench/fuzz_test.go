package main

import (
	"strings"
	"testing"
)

// FuzzRunFlags gives ofpeak run any flags. With --list nothing is measured or written: cases come out, or one line of error.
func FuzzRunFlags(f *testing.F) {
	for _, line := range []string{"", "--suite smoke", "--technique sparse,baseline --model gpt2,B=4", "--case model=tiny", "--ranks 2,4 --zero 3", "--layout 2:4 --precision bf16",
		"--threads 0,1 --isa go", "--resume --out x.csv --retry failed", "--timeout 1h --isolate", "--seconds 1e300", "--json -q", "--target 1e-9 --limit 5", "--pass forward --engine gorgonia",
		"--schedule zb-h1 --microbatches 0", "--", "--out", "-\n", "--seed -9223372036854775808", "--case technique=sparse\tmodel=C=1,NH=1,T=1,L=1,B=1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if len(line) > 200 || strings.Contains(line, "--list") {
			return // longer lists only take longer, and --list=false would measure
		}
		args := append([]string{"run", "--list"}, strings.Split(line, " ")...) // first, lest a flag that takes a value takes it
		runner := &fakeRunner{}
		status, stdout, stderr := runner.ofpeak(args...)
		switch {
		case len(runner.ran) > 0:
			t.Errorf("%q: %d cases ran", args, len(runner.ran))
		case status == 0 && stdout == "":
			t.Errorf("%q: no case and no error", args)
		case status != 0 && (!strings.HasPrefix(stderr, "ofpeak: ") || strings.Count(stderr, "\n") != 1):
			t.Errorf("%q: status %d, %q", args, status, stderr)
		}
	})
}
