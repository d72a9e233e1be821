package paralleltest_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
)

// watched are the strategies whose streams wait for each other in every way there is.
var watched = []parallel.Strategy{
	{DP: 2, BucketBytes: 4096}, {DP: 2, Naive: true}, {DP: 2, ZeRO: 1, BucketBytes: 4096}, {DP: 2, ZeRO: 2, Microbatches: 2}, {DP: 2, ZeRO: 3, Microbatches: 2},
	{TP: 2, Microbatches: 2}, {TP: 2, Aside: true, Microbatches: 2}, {TP: 2, Sequence: true, Aside: true, Microbatches: 2}, {PP: 2, Microbatches: 4}, {PP: 2, Microbatches: 4, Schedule: "gpipe"}, {PP: 2, Microbatches: 4, Schedule: "zb-h1"},
	{PP: 4, Microbatches: 4}, {DP: 2, PP: 2, Microbatches: 2}, {CP: 2}, {CP: 4}, {EP: 2, PP: 2, Microbatches: 2, Schedule: "zb-h1"},
	{EP: 2, ZeRO: 1, BucketBytes: 4096}, {EP: 2, ZeRO: 2, Microbatches: 2}, {EP: 2, ZeRO: 3, Microbatches: 2}, {DP: 2, EP: 2, ZeRO: 3},
}

// history trains two steps, unless the model is to be forward-only, and makes a forward pass on simulated GPUs, and tells in what order things were.
func history(t *testing.T, s parallel.Strategy, between engine, forward bool) *ptxsim.History {
	t.Helper()
	gpus := ptxsim.New(ptxsim.Config{Devices: 4, Seed: 1, Collectives: true})
	h := gpus.Watch()
	p, _ := kernels.PrecisionNamed("fp32")
	cfg := trainer.Config{Model: block.Config{C: 16, NH: 2, T: 3, L: 4, V: 8, Batch: 4, Precision: p}, Hyper: block.DefaultHyper}
	cfg.Model.Forward = forward
	if s.Aside {
		cfg.Model.T = 4 // so that the tokens have halves
	}
	if s.CP > 1 {
		cfg.Model.T, cfg.Model.Batch = 2*s.CP, 1
	}
	if s.EP > 1 {
		cfg.Model.Experts = switched
	}
	l := parallel.InProcess{Open: func(rank, _ int) (kernels.Device, error) { return cuda.Open(gpus, rank) }, Connect: between(gpus)}
	err := l.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error {
		tr, err := trainer.New(r, cfg)
		if err != nil {
			return err
		}
		if err := tr.SetTokens(func(seq, pos int) int32 { return int32((seq*5 + pos*pos) % 8) }); err != nil {
			return err
		}
		for step := 0; step < 2 && !forward; step++ {
			tr.TrainStep()
			if _, err := tr.Sync(); err != nil {
				return err
			}
		}
		tr.ForwardPass()
		_, err = tr.Sync()
		return err
	})
	h.Stop()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// spare are waits, by their functions, that put nothing in an order that is not there without them, and why they are made all the same.
var spare = map[string]string{
	"waitExposed of optimize":   "the host waits for all streams before the next step; this one makes the time that the gathered weights take part of the step",
	"backward of BackwardInput": "in ZB-H1 a last stage has received the microbatch in between, on the stream that sends; in GPipe the same line is needed",
}

// functions drops the places from a site.
func functions(site string) string {
	return regexp.MustCompile(` \([^)]*\)`).ReplaceAllString(site, "")
}

// Whatever the streams' pace, no two pieces of work that touch the same memory run in no order; and without any one line of the source that waits, some would.
func TestEveryWaitIsNeeded(t *testing.T) {
	quick(t)
	needed := map[string]bool{} // by site
	for _, s := range watched {
		h := history(t, s, copies, false)
		if races := h.Races(nil); len(races) > 0 {
			t.Errorf("%s: %d pairs, such as %v", s, len(races), races[0])
		}
		sites := h.Waits()
		for _, site := range slices.Compact(slices.Sorted(slices.Values(sites))) {
			needed[site] = needed[site] || len(h.Races(func(n int) bool { return sites[n] == site })) > 0
		}
	}
	found := map[string]bool{}
	for site, is := range needed {
		if !is && spare[functions(site)] == "" {
			t.Errorf("without the wait at %s nothing would be in no order", site)
		}
		found[functions(site)] = found[functions(site)] || !is
	}
	for functions := range spare {
		if !found[functions] {
			t.Errorf("%s: is listed as spare and is needed", functions)
		}
	}
	for _, line := range waitsInSource(t) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(needed)), func(site string) bool { return strings.Contains(site, "("+line+")") }) {
			t.Errorf("no strategy here comes to the wait at %s", line)
		}
	}
}

// Where a library moves the data no two pieces of work run in no order either: it has fewer waits of its own to hide a missing one behind.
func TestALibraryNeedsNoMoreWaits(t *testing.T) {
	quick(t)
	for _, s := range []parallel.Strategy{{DP: 2, BucketBytes: 4096}, {DP: 2, ZeRO: 3, Microbatches: 2}, {EP: 2, ZeRO: 3, Microbatches: 2}, {PP: 2, Microbatches: 4}} {
		if races := history(t, s, library, false).Races(nil); len(races) > 0 {
			t.Errorf("%s: %d pairs, such as %v", s, len(races), races[0])
		}
	}
}

// Nor do they in a forward pass alone, which has less memory: with sequence parallelism one place for summands and for all that is gathered.
func TestForwardPassesNeedNoMoreWaits(t *testing.T) {
	quick(t)
	for _, s := range []parallel.Strategy{{TP: 2, Aside: true}, {TP: 2, Sequence: true, Aside: true, Microbatches: 2}, {EP: 2, TP: 2, Sequence: true, Aside: true}} {
		if races := history(t, s, copies, true).Races(nil); len(races) > 0 {
			t.Errorf("%s: %d pairs, such as %v", s, len(races), races[0])
		}
	}
}

// waitsInSource are the lines of the packages that order streams which wait for an event, as package/file:line.
func waitsInSource(t *testing.T) []string {
	t.Helper()
	waits := regexp.MustCompile(`(\.Wait\((t|z|b|e|r|o|a|all)\b|\.(wait|waitExposed)\()`)
	var lines []string
	for _, dir := range []string{"../dp", "../tp", "../cp", "../trainer", "../comm/peer"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				if waits.MatchString(line) && !strings.HasPrefix(line, "func") && !strings.HasSuffix(file, "_test.go") {
					lines = append(lines, fmt.Sprintf("%s/%s:%d", filepath.Base(dir), filepath.Base(file), i+1))
				}
			}
		}
	}
	return lines
}

// Of the waits that are made, one by one, most are spare: another one puts the same work in order already. Which are is logged (go test -v).
func TestWaitsOneByOne(t *testing.T) {
	if os.Getenv("OFPEAK_LONG") == "" {
		t.Skip("takes a minute; set OFPEAK_LONG")
	}
	needed, made := map[string]int{}, map[string]int{}
	for _, s := range watched {
		h := history(t, s, copies, false)
		for n, site := range h.Waits() {
			made[site]++
			if len(h.Races(func(m int) bool { return m == n })) > 0 {
				needed[site]++
			}
		}
	}
	for _, site := range slices.Sorted(maps.Keys(made)) {
		t.Logf("%s: %d waits, %d needed", site, made[site], needed[site])
		if spare[functions(site)] == "" && needed[site] == 0 {
			t.Errorf("%s: all %d waits are spare", site, made[site])
		}
	}
}
