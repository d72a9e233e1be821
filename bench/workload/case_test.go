package workload

import (
	"strings"
	"testing"

	"ofpeak/kernels"
)

// preset is a preset's case with changes; its technique is what they make of it.
func preset(t *testing.T, name string, change func(*Case)) Case {
	t.Helper()
	m, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	c := Default(m)
	if change != nil {
		change(&c)
	}
	c.Technique = Classify(c)
	return c
}

func TestCaseString(t *testing.T) {
	for _, test := range []struct {
		c    Case
		want string
	}{
		{preset(t, "gpt2", nil), "technique=baseline precision=fp32 model=gpt2"},
		{preset(t, "gpt2", func(c *Case) { c.Precision, c.DP = "bf16", 2 }), "technique=data-parallel precision=bf16 model=gpt2 dp=2"},
		{preset(t, "small", func(c *Case) { c.PP, c.Schedule, c.Microbatches = 2, GPipe, 4 }),
			"technique=model-parallel precision=fp32 model=small pp=2 schedule=gpipe microbatches=4"},
		{preset(t, "tiny", func(c *Case) { c.Layout, c.Threads, c.ISA, c.Seed = blocks(16, 0.25), 1, "avx2", 7 }),
			"technique=sparse precision=fp32 model=tiny layout=block:16@0.25 threads=1 isa=avx2 seed=7"},
		{preset(t, "tiny", func(c *Case) { c.Model = Model{C: 64, NH: 2, T: 8, L: 1, B: 1, V: 256} }),
			"technique=baseline precision=fp32 model=C=64,NH=2,T=8,L=1,B=1,V=256"},
	} {
		if got := test.c.String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
		back, err := ParseCase(test.want)
		if err != nil || back != test.c {
			t.Errorf("%s came back as %+v, %v", test.want, back, err)
		}
	}
}

func TestParseCaseFillsIn(t *testing.T) {
	c, err := ParseCase("  dp=2\ttp=2 model=gpt2,B=8 ")
	if err != nil {
		t.Fatal(err)
	}
	if c.Technique != Distributed || c.Model.B != 8 || c.Model.Name != "" || c.Seed != 1 {
		t.Errorf("got %+v", c)
	}
	c, err = ParseCase("model=C=768,NH=12,T=1024,L=1,B=2")
	if err != nil || c.Model.Name != "gpt2" {
		t.Errorf("a preset's dims: got %+v, %v", c.Model, err)
	}
}

func TestParseCaseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "no model",
		"precision=bf16":                     "no model",
		"model=gpt9":                         "--model gpt9 is unknown; take one of tiny",
		"model=tiny colour=red":              `unknown field "colour"; known: technique`,
		"model=tiny model=tiny":              "model is given twice",
		"model=tiny sequence_parallel=1":     "neither true nor false",
		"model=tiny experts=8@1":             "--experts 8@1 is unknown; take none or",
		"model=tiny experts=8x1":             "--experts 8x1 is unknown",
		"model=tiny experts=8x1@x":           "such as 8x1@1.25",
		"model=tiny experts=8x1@1/":          "with /GROUPS",
		"model=tiny experts=8x1@1/-2":        "with /GROUPS",
		"model=tiny dp=two":                  "dp=two: not a whole number",
		"model=tiny dp=99999999999999999999": "the number is too large",
		"model=tiny seed=1.5":                "seed=1.5: not a whole number",
		"model=tiny layout=block:32":         "--layout block:32 is unknown",
		"model=tiny layout=block:0@0.5":      "the block's edge",
		"model=tiny layout=block:8@NaN":      "the kept share",
		"model=tiny layout=block:8@1.5":      "the kept share",
		"model=C=64":                         "give all of C, NH, T, L and B",
		"model=C=64,NH=0,T=1,L=1,B=1":        "NH=0 is outside 1",
		"model=C=64,HS=4":                    "unknown dim HS",
		"model=tiny,small":                   "names 2 models",
	} {
		_, err := ParseCase(line)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want ...%s...", line, err, want)
		}
	}
}

// What parses is written and parsed again to the same case.
func FuzzParseCase(f *testing.F) {
	for _, s := range Suites {
		cases, err := Expand(Options{Suite: s.Name, Cores: 2})
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range cases {
			f.Add(p.Case.String())
		}
	}
	f.Add("model=gpt2,V=3 layout=block:1@0x1p-3 technique= isa== schedule=")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseCase(line)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(line, "\n") {
				t.Fatalf("error of several lines: %q", err)
			}
			return
		}
		_ = c.Validate() // must not panic, whatever the values
		again, err := ParseCase(c.String())
		if err != nil || again != c {
			t.Fatalf("%q\nbecame    %+v\nwritten   %s\nreread as %+v, %v", line, c, c, again, err)
		}
	})
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		line, want string // want "": valid
	}{
		{"model=gpt2", ""},
		{"model=7b precision=bf16 dp=2 tp=2 pp=2 schedule=1f1b microbatches=2", ""},
		{"model=tiny precision=fp64 device=ref", ""},
		{"model=tiny precision=int8 pass=forward", ""},
		{"model=tiny engine=gorgonia", ""},
		{"model=tiny engine=gorgonia+blas isa=avx2", ""},
		{"model=tiny technique=magic", "--technique magic is unknown; take one of baseline"},
		{"model=tiny technique=sparse", "--technique sparse: the other fields describe baseline"},
		{"model=tiny precision=fp4", "--precision fp4 is unknown; take one of fp64, fp32"},
		{"model=tiny schedule=zb", "--schedule zb is unknown; take one of gpipe, 1f1b"},
		{"model=tiny device=tpu", "--device tpu is unknown"},
		{"model=tiny dp=0", "--dp 0 is outside 1"},
		{"model=tiny tp=-2", "--tp -2 is outside 1"},
		{"model=tiny threads=-1", "--threads -1 is outside 0"},
		{"model=tiny microbatches=0", "--microbatches 0 is outside 1"},
		{"model=tiny bucket_bytes=0", "--bucket-bytes 0"},
		{"model=tiny dp=2 zero=3", ""},
		{"model=tiny recompute=blocks", ""},
		{"model=tiny experts=8x1@1.25", ""},
		{"model=tiny experts=8x2@0.5 ep=2 dp=2 tp=2", ""},
		{"model=tiny ep=2", "ep=2 spreads experts; pass --experts 4x1@1.25"},
		{"model=tiny experts=1x1@1", "take 2 or more experts"},
		{"model=tiny experts=8x3@1", "take 2 or more experts, 1 or 2 choices"},
		{"model=tiny experts=8x1@0", "a capacity factor above 0"},
		{"model=tiny experts=3x1@1 ep=2", "cannot be split over ep=2"},
		{"model=tiny experts=4x1@1 ep=3", "B=8 is not divisible by dp=3"},
		{"model=tiny experts=4x1@1 layout=2:4 ep=2 tp=2", ""},
		{"model=tiny experts=4x2@1 layout=block:16@0.5", ""},
		{"model=C=24,NH=2,T=32,L=2,B=8 experts=4x2@1 layout=2:4 tp=2", "needs C divisible by 8, not 12"},
		{"model=tiny experts=4x1@1 pp=2 schedule=zb-h1", ""},
		{"model=tiny experts=4x1@1 ep=2 dp=2 zero=1", ""},
		{"model=tiny experts=4x1@1 ep=2 zero=3", ""},
		{"model=tiny cp=2", ""},
		{"model=tiny cp=4 zero=3", ""},
		{"model=tiny experts=4x1@1/8 cp=4 ep=2", ""},
		{"model=tiny cp=0", "--cp 0 is outside 1"},
		{"model=tiny cp=3", "T=32 tokens do not make two chunks for each of cp=3 ranks that 1 ranks can split; pass --model tiny,T=36"},
		{"model=tiny experts=4x1@1 cp=2", "cp=2 splits the tokens that share the experts' capacity; pass --experts 4x1@1/4"},
		{"model=tiny experts=4x1@1/3", "T=32 tokens make no 3 groups"},
		{"model=tiny experts=4x1@1 engine=gorgonia", "--engine gorgonia runs a dense"},
		{"model=tiny pp=2 schedule=1f1b cut=equal", ""},
		{"model=tiny cut=equal", "--cut equal cuts pipeline stages; add pp=2"},
		{"model=tiny pp=2 schedule=1f1b cut=random", "--cut random is unknown"},
		{"model=tiny,L=4 pp=2 schedule=interleaved chunks=2 microbatches=4", ""},
		{"model=tiny pp=2 schedule=interleaved chunks=2", "L=2 layers make no pp=2 times chunks=2 stages; pass --model tiny,L=4"},
		{"model=tiny pp=2 schedule=interleaved", "pass --chunks 2"},
		{"model=tiny,L=4 pp=2 schedule=1f1b chunks=2", "--chunks 2 are of --schedule interleaved"},
		{"model=tiny pp=2 schedule=interleaved chunks=0", "--chunks 0 is outside 1"},
		{"model=tiny tp=2 sequence_parallel=true", ""},
		{"model=tiny tp=2 overlap=on", ""},
		{"model=tiny dp=2 overlap=off", ""},
		{"model=tiny pp=2 schedule=1f1b overlap=off", "--overlap off is for ranks that share a layer; add dp=2, tp=2"},
		{"model=tiny dp=2 zero=1 overlap=off", "--zero 1 exchanges while it computes; drop --overlap off"},
		{"model=tiny sequence_parallel=true", "--sequence-parallel splits tokens over tensor-parallel ranks; add tp=2"},
		{"model=tiny pp=2 schedule=zb-h1 dp=2 zero=1", ""},
		{"model=tiny pp=2 schedule=zb-h1 dp=2 zero=2", "take --zero 1 or --schedule 1f1b"},
		{"model=tiny pp=2 schedule=zb-h1 recompute=blocks", "needs activations longer"},
		{"model=tiny recompute=all", "--recompute all is unknown; take one of none, blocks"},
		{"model=tiny recompute=blocks pass=forward", "--recompute blocks: a forward pass keeps nothing"},
		{"model=tiny recompute=blocks engine=gorgonia", "--engine gorgonia"},
		{"model=tiny dp=2 zero=4", "--zero 4 is outside 0 to 3"},
		{"model=tiny tp=2 zero=1", "--zero 1 shares among data-, expert- and context-parallel ranks; add dp=2"},
		{"model=tiny dp=2 zero=1 pass=forward", "--zero 1 shares what training keeps"},
		{"model=C=10,NH=3,T=4,L=1,B=1", "C=10 is not divisible by NH=3"},
		{"model=tiny dp=3", "B=8 is not divisible by dp=3 times microbatches=1; change --ranks or pass --model tiny,B=9"},
		{"model=tiny tp=3", "NH=4 heads cannot be split over tp=3"},
		{"model=tiny,T=9,V=257 tp=2", ""},
		{"model=tiny,V=255", "V=255 has no place for the 256 values of a byte"},
		{"model=tiny,T=9 tp=2 sequence_parallel=true", "T=9 tokens cannot be split over tp=2"},
		{"model=gpt2 pp=2 schedule=1f1b", "L=1 layers make no pp=2 stages; pass --model gpt2,L=2"},
		{"model=tiny pp=2", "pp=2 needs --schedule gpipe or 1f1b or interleaved or zb-h1"},
		{"model=tiny schedule=gpipe", "needs pipeline stages"},
		{"model=tiny pp=2 schedule=gpipe pass=forward", ""},
		{"model=tiny pp=2 schedule=zb-h1 pass=forward", "take --schedule gpipe or interleaved"},
		{"model=tiny precision=int8", "has no backward pass; pass --pass forward"},
		{"model=tiny precision=int8 pass=forward layout=2:4", "has dense weights only"},
		{"model=tiny precision=fp8 layout=2:4", "--precision fp8 has dense weights only"},
		{"model=tiny precision=fp64", "fp64 and the ref device go together"},
		{"model=tiny layout=block:48@0.5", "needs a weight divisible by its block of 48"},
		{"model=tiny layout=block:32@0.5 tp=2", "keeps blocks of whole weight rows, which tp=2 would cut"},
		{"model=tiny layout=2:4 tp=16", "NH=4 heads cannot be split over tp=16"},
		{"model=C=48,NH=4,T=4,L=1,B=1 layout=2:4 tp=4", "needs C divisible by 8, not 12"},
		{"model=C=36,NH=4,T=4,L=1,B=1 layout=2:4", "needs C divisible by 8, not 36"},
		{"model=tiny engine=gorgonia dp=2", "--engine gorgonia"},
		{"model=tiny engine=gorgonia isa=avx2", "--engine gorgonia runs none of our kernels"},
		{"model=tiny engine=gorgonia+blas precision=bf16", "--engine gorgonia+blas"},
	} {
		c, err := ParseCase(test.line)
		if err != nil {
			t.Errorf("%s: %v", test.line, err)
			continue
		}
		switch err := c.Validate(); {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.line, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: got %v, want ...%s...", test.line, err, test.want)
		}
	}
}

func TestClassify(t *testing.T) {
	for want, c := range map[string]Case{
		Baseline:       preset(t, "tiny", func(c *Case) { c.Threads = 1 }),
		MixedPrecision: preset(t, "tiny", func(c *Case) { c.Precision = "int8" }),
		Sparse:         preset(t, "tiny", func(c *Case) { c.Precision, c.Layout = "bf16", twoFour }),
		DataParallel:   preset(t, "tiny", func(c *Case) { c.DP, c.Layout = 2, twoFour }),
		ModelParallel:  preset(t, "tiny", func(c *Case) { c.TP = 2 }),
		Distributed:    preset(t, "tiny", func(c *Case) { c.DP, c.PP = 2, 2 }),
	} {
		if got := Classify(c); got != want {
			t.Errorf("%s: got %s", want, got)
		}
	}
}

func TestParseModels(t *testing.T) {
	models, err := ParseModels("tiny,gpt2,L=2,B=8,small")
	if err != nil || len(models) != 3 {
		t.Fatalf("got %v, %v", models, err)
	}
	want := []string{"tiny", "C=768,NH=12,T=1024,L=2,B=8", "small"}
	for i, m := range models {
		if m.String() != want[i] {
			t.Errorf("model %d: got %s, want %s", i, m, want[i])
		}
	}
}

func TestParseLayout(t *testing.T) {
	for text, want := range map[string]kernels.Layout{
		"dense": {}, "2:4": {Format: kernels.Sparse24}, "block:32@0.5": blocks(32, 0.5), "block:8@5e-1": blocks(8, 0.5),
	} {
		if got, err := ParseLayout(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}
