package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// flagLines are flags of ofpeak run, right and wrong ones.
var flagLines = []string{"", "--suite smoke", "--technique sparse,baseline --model gpt2,B=4", "--case model=tiny", "--ranks 2,4 --zero 3", "--layout 2:4 --precision bf16",
	"--threads 0,1 --isa go", "--resume --out x.csv --retry failed", "--timeout 1h --isolate", "--seconds 1e300", "--json -q", "--target 1e-9 --limit 5", "--pass forward --engine gorgonia",
	"--schedule zb-h1 --microbatches 0", "--", "--out", "-\n", "--seed -9223372036854775808", "--case technique=sparse\tmodel=C=1,NH=1,T=1,L=1,B=1"}

// FuzzRunFlags gives ofpeak run any flags, up to where it would open the device: they are understood, or are one line of error.
func FuzzRunFlags(f *testing.F) {
	for _, line := range flagLines {
		f.Add(line)
	}
	understood := errors.New("understood")
	f.Fuzz(func(t *testing.T, line string) {
		var out, errs bytes.Buffer
		cmd := newRunCmd(&out, &errs, func(runnerOptions) (runner, error) { return nil, understood })
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetOut(&out)
		cmd.SetFlagErrorFunc(flagError)
		status := execute(cmd, &errs, strings.Split(line, " "))
		switch message := errs.String(); {
		case status == 0 && !strings.HasPrefix(out.String(), "Run measures a suite"):
			t.Errorf("%q: no help, and no error", line)
		case status != 0 && (!strings.HasPrefix(message, "ofpeak: ") || strings.Count(message, "\n") != 1):
			t.Errorf("%q: status %d, %q", line, status, message)
		}
	})
}

// FuzzRunList gives it any flags with --list, so that nothing is measured or written: cases come out, or one line of error.
func FuzzRunList(f *testing.F) {
	for _, line := range flagLines {
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
