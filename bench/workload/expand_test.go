package workload

import (
	"slices"
	"strings"
	"testing"
)

// Each suite has every technique, each case once, valid but for what a preset cannot be split into, and behind the cases it is compared with.
func TestSuites(t *testing.T) {
	for _, s := range Suites {
		cases, err := Expand(Options{Suite: s.Name, Cores: 2})
		if err != nil {
			t.Fatal(err)
		}
		at := map[Case]int{}
		found := map[string]bool{}
		for i, p := range cases {
			if p.Largest != "" {
				if p.Skip != nil || p.Case.Memory == 0 {
					t.Errorf("%s: search of %s: %v", s.Name, p.Case, p.Skip)
				}
				continue
			}
			if j, twice := at[p.Case]; twice {
				t.Errorf("%s: cases %d and %d are %s", s.Name, j, i, p.Case)
			}
			at[p.Case] = i
			if p.Skip != nil {
				if s.Name != "full" {
					t.Errorf("%s: %s: %v", s.Name, p.Case, p.Skip)
				}
				continue
			}
			found[p.Case.Technique] = true
			for _, ref := range []Case{BaselineOf(p.Case), OneRankOf(p.Case, 2)} {
				if j, ok := at[ref]; !ok || j > i {
					t.Errorf("%s: %s stands before %s", s.Name, p.Case, ref)
				}
			}
		}
		for _, technique := range Techniques {
			if !found[technique] && s.Name != "parallel" && s.Name != "claims" {
				t.Errorf("%s: no case of %s", s.Name, technique)
			}
		}
	}
}

func lines(t *testing.T, o Options) []string {
	t.Helper()
	cases, err := Expand(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range cases {
		line := p.Case.String()
		if p.Skip != nil {
			line = "skip " + line
		}
		out = append(out, line)
	}
	return out
}

func TestExpand(t *testing.T) {
	tiny, small := models("tiny"), models("small")
	for _, test := range []struct {
		name string
		o    Options
		want []string
	}{
		{"a technique brings what it is compared with", Options{Suite: "smoke", Techniques: []string{DataParallel}, Cores: 8}, []string{
			"technique=baseline precision=fp32 model=tiny",
			"technique=baseline precision=fp32 model=tiny threads=4",
			"technique=data-parallel precision=fp32 model=tiny dp=2",
			"technique=mixed-precision precision=bf16 model=tiny threads=4",
			"technique=data-parallel precision=bf16 model=tiny dp=2",
		}},
		{"one core cannot be shared", Options{Suite: "smoke", Techniques: []string{DataParallel}, Override: Settings{Precisions: []string{"fp32"}}, Cores: 1}, []string{
			"technique=baseline precision=fp32 model=tiny",
			"technique=data-parallel precision=fp32 model=tiny dp=2",
		}},
		{"a setting that only data-parallel ranks have", Options{Suite: "smoke", Techniques: []string{ModelParallel, DataParallel}, Cores: 2,
			Override: Settings{Precisions: []string{"fp32"}, Schedules: []string{GPipe}, ZeRO: []int{0, 2}}}, []string{
			"technique=baseline precision=fp32 model=tiny",
			"technique=baseline precision=fp32 model=tiny threads=1",
			"technique=data-parallel precision=fp32 model=tiny dp=2",
			"technique=data-parallel precision=fp32 model=tiny dp=2 zero=2",
			"technique=model-parallel precision=fp32 model=tiny tp=2",
			"technique=model-parallel precision=fp32 model=tiny pp=2 schedule=gpipe microbatches=8",
		}},
		{"some of the ranks split each sequence", Options{Suite: "smoke", Techniques: []string{ModelParallel}, Cores: 8,
			Override: Settings{Precisions: []string{"fp32"}, Ranks: []int{2}, Contexts: []int{2}, ZeRO: []int{1}, Experts: []Experts{{4, 1, 1, 0}}}}, []string{
			"technique=baseline precision=fp32 model=tiny",
			"technique=sparse precision=fp32 model=tiny experts=4x1@1/4 threads=4",
			"technique=model-parallel precision=fp32 model=tiny cp=2 zero=1 experts=4x1@1/4",
		}},
		{"int8 runs forward", Options{Suite: "smoke", Techniques: []string{MixedPrecision}, Override: Settings{Precisions: []string{"int8"}}, Cores: 2}, []string{
			"technique=baseline precision=fp32 model=tiny pass=forward",
			"technique=mixed-precision precision=int8 model=tiny pass=forward",
			"skip technique=mixed-precision precision=int8 model=tiny engine=gorgonia pass=forward",
			"skip technique=mixed-precision precision=int8 model=tiny engine=gorgonia+blas pass=forward",
		}},
		{"ranks and layouts are replaced", Options{Suite: "quick", Techniques: []string{ModelParallel}, Cores: 4, Seed: 3,
			Override: Settings{Models: models("1b"), Ranks: []int{2, 4}, Schedules: []string{GPipe}}}, []string{
			"technique=baseline precision=fp32 model=1b seed=3",
			"technique=baseline precision=fp32 model=1b threads=2 seed=3",
			"technique=model-parallel precision=fp32 model=1b tp=2 seed=3",
			"technique=baseline precision=fp32 model=1b threads=1 seed=3",
			"technique=model-parallel precision=fp32 model=1b tp=4 seed=3",
			"technique=model-parallel precision=fp32 model=1b pp=2 schedule=gpipe microbatches=4 seed=3",
			"skip technique=model-parallel precision=fp32 model=1b pp=4 schedule=gpipe microbatches=4 seed=3",
		}},
		{"devices without threads", Options{Suite: "smoke", Techniques: []string{ModelParallel}, Device: CUDA, Cores: 8,
			Override: Settings{Models: small, Schedules: []string{F1B1}, Microbatches: []int{2}}}, []string{
			"technique=baseline precision=fp32 model=small device=cuda",
			"technique=model-parallel precision=fp32 model=small device=cuda tp=2 microbatches=2",
			"technique=model-parallel precision=fp32 model=small device=cuda pp=2 schedule=1f1b microbatches=2",
		}},
		{"all GPUs, and powers of two of them", Options{Suite: "smoke", Techniques: []string{DataParallel}, Device: CUDA, GPUs: 6,
			Override: Settings{Models: models("tiny"), Precisions: []string{"fp32"}}}, []string{
			"technique=baseline precision=fp32 model=tiny device=cuda",
			"technique=data-parallel precision=fp32 model=tiny device=cuda dp=2",
			"technique=data-parallel precision=fp32 model=tiny device=cuda dp=4",
			"skip technique=data-parallel precision=fp32 model=tiny device=cuda dp=6",
		}},
		{"simulated GPUs take a model of their own", Options{Suite: "quick", Techniques: []string{MixedPrecision}, Device: Sim, GPUs: 2}, []string{
			"technique=baseline precision=fp32 model=C=32,NH=4,T=8,L=2,B=8 device=sim",
			"technique=mixed-precision precision=tf32 model=C=32,NH=4,T=8,L=2,B=8 device=sim",
			"technique=mixed-precision precision=bf16 model=C=32,NH=4,T=8,L=2,B=8 device=sim",
			"technique=mixed-precision precision=fp16 model=C=32,NH=4,T=8,L=2,B=8 device=sim",
			"technique=mixed-precision precision=fp8 model=C=32,NH=4,T=8,L=2,B=8 device=sim",
			"technique=baseline precision=fp32 model=C=32,NH=4,T=8,L=2,B=8 pass=forward device=sim",
			"technique=mixed-precision precision=bf16 model=C=32,NH=4,T=8,L=2,B=8 pass=forward device=sim",
			"technique=mixed-precision precision=int8 model=C=32,NH=4,T=8,L=2,B=8 pass=forward device=sim",
		}},
		{"the reference computes in fp64", Options{Suite: "smoke", Techniques: []string{Sparse}, Device: Ref, Cores: 2,
			Override: Settings{Models: tiny, Precisions: []string{"fp64"}, Passes: []string{Train}}}, []string{
			"technique=baseline precision=fp64 model=tiny device=ref",
			"technique=sparse precision=fp64 model=tiny device=ref layout=2:4",
			"technique=sparse precision=fp64 model=tiny device=ref layout=block:16@0.5",
			"technique=sparse precision=fp64 model=tiny device=ref layout=block:16@0.25",
		}},
	} {
		if got := lines(t, test.o); !slices.Equal(got, test.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", test.name, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

func TestExpandErrors(t *testing.T) {
	for want, o := range map[string]Options{
		"--suite huge is unknown; take one of smoke, quick, parallel, claims, full": {Suite: "huge"},
		"--technique magic is unknown":                                              {Suite: "smoke", Techniques: []string{"magic"}},
		"--precision fp4 is unknown":                                                {Suite: "smoke", Override: Settings{Precisions: []string{"fp4"}}},
		"--precision fp9 is unknown":                                                {Suite: "smoke", Override: Settings{Precisions: []string{"fp32", "fp9"}}},
		"--microbatches -1 is outside 1":                                            {Suite: "smoke", Override: Settings{Microbatches: []int{1, -1}}},
		"--bucket-bytes -1 is outside 1":                                            {Suite: "smoke", Override: Settings{BucketBytes: []int{1, -1}}},
		"--schedule zb is unknown":                                                  {Suite: "smoke", Override: Settings{Schedules: []string{"gpipe", "zb"}}},
		"not divisible by dp=3":                                                     {Suite: "smoke", Override: Settings{Ranks: []int{3}}},
		"NH=4 heads cannot be split over tp=3":                                      {Suite: "smoke", Techniques: []string{ModelParallel}, Override: Settings{Ranks: []int{3}}},
		"--ranks 2 cannot be split over dp*tp with 2 or more each; take 4, 8":       {Suite: "smoke", Techniques: []string{Distributed}, Override: Settings{Ranks: []int{2}}},
		"--ranks 4: no technique chosen splits over ranks":                          {Suite: "smoke", Techniques: []string{Sparse}, Override: Settings{Ranks: []int{4}}},
		"--ranks 0 is outside 1":                                                    {Suite: "smoke", Override: Settings{Ranks: []int{0}}},
		"--ranks 1000000000000 is outside 1":                                        {Suite: "smoke", Override: Settings{Ranks: []int{1e12}}},
		"--technique baseline: no case of suite smoke with these options":           {Suite: "smoke", Techniques: []string{Baseline}, Override: Settings{Precisions: []string{"bf16"}}},
		"C=10 is not divisible by NH=3":                                             {Suite: "quick", Override: Settings{Models: []Model{{C: 10, NH: 3, T: 4, L: 1, B: 8}}}},
	} {
		o.Cores = 2
		if _, err := Expand(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ...%s...", err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		axes      string
		ranks, cp int
		want      mesh
		fails     string
	}{
		{"dp*cp", 4, 0, mesh{2, 1, 1, 1, 2}, ""},
		{"dp", 4, 2, mesh{2, 1, 1, 1, 2}, ""},
		{"dp", 2, 2, mesh{1, 1, 1, 1, 2}, ""},
		{"dp*tp", 12, 3, mesh{2, 2, 1, 1, 3}, ""},
		{"dp*cp", 8, 4, mesh{2, 1, 1, 1, 4}, ""},
		{"cp", 4, 4, mesh{1, 1, 1, 1, 4}, ""},
		{"dp", 2, 1, mesh{2, 1, 1, 1, 1}, ""},
		{"cp", 4, 2, mesh{}, "--cp 2 leaves 2 of --ranks 4 for no other axis"},
		{"dp", 4, 3, mesh{}, "--cp 3 does not divide --ranks 4"},
		{"dp", 4, -1, mesh{}, "--cp -1 does not divide"},
		{"dp*tp", 4, 2, mesh{}, "--ranks 2 cannot be split over dp*tp"},
	} {
		got, err := split(test.axes, test.ranks, test.cp)
		if test.fails == "" && (err != nil || got != test.want) || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
			t.Errorf("%s of %d, cp %d: got %v, %v, want %v or an error with %q", test.axes, test.ranks, test.cp, got, err, test.want, test.fails)
		}
	}
}

func TestFactor(t *testing.T) {
	for _, test := range []struct {
		axes  string
		ranks int
		want  mesh
	}{
		{"dp", 6, mesh{6, 1, 1, 1, 1}},
		{"tp*pp", 1, mesh{1, 1, 1, 1, 1}},
		{"dp*tp", 4, mesh{2, 2, 1, 1, 1}},
		{"dp*pp", 6, mesh{3, 1, 2, 1, 1}},
		{"dp*tp", 8, mesh{4, 2, 1, 1, 1}},
		{"dp*tp", 36, mesh{6, 6, 1, 1, 1}},
		{"dp*tp*pp", 12, mesh{3, 2, 2, 1, 1}},
	} {
		if got, err := factor(test.axes, test.ranks); err != nil || got != test.want {
			t.Errorf("%s %d: got %v, %v, want %v", test.axes, test.ranks, got, err, test.want)
		}
	}
	for _, prime := range []int{-4, 0, 2, 3, 7, 65537} {
		if m, err := factor("dp*tp", prime); err == nil {
			t.Errorf("%d became %v", prime, m)
		}
	}
}
