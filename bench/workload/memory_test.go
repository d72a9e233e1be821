package workload

import (
	"strings"
	"testing"
)

// By hand, what a rank holds at least: tiny has 2·(12·64²+13·64) = 99,968 parameters and 256 tokens; a block keeps 16·64 values of a token and has 10·64 gradients in flight.
func TestMemory(t *testing.T) {
	const params, tokens, acts, grads = 99968, 256, 1024, 640
	for line, want := range map[string]float64{
		"model=tiny":                                    params*16 + tokens*4*(2*acts+grads),
		"model=tiny precision=bf16":                     params*18 + tokens*2*(2*acts+grads),
		"model=tiny pass=forward":                       params*4 + tokens*4*2*acts,
		"model=tiny precision=int8 pass=forward":        params + tokens*4*2*acts,
		"model=tiny dp=2":                               params*16 + tokens/2*4*(2*acts+grads),
		"model=tiny dp=2 zero=1":                        params*(8+8/2) + tokens/2*4*(2*acts+grads),
		"model=tiny dp=4 zero=2 precision=bf16":         params*(2+16/4) + tokens/4*2*(2*acts+grads),
		"model=tiny dp=2 zero=3":                        params*16/2 + tokens/2*4*(2*acts+grads),
		"model=tiny recompute=blocks":                   params*16 + tokens*4*(2*64+acts-64+grads),
		"model=tiny microbatches=4":                     params*16 + tokens/4*4*(2*acts+grads),
		"model=tiny tp=2":                               (2*6*64*64+2*13*64)*16 + tokens*4*(2*(4*64+12*32)+2*64+8*32),
		"model=tiny pp=2 schedule=gpipe microbatches=8": params/2*16 + tokens/8*4*(8*acts+grads),
		"model=tiny pp=2 schedule=1f1b microbatches=8":  params/2*16 + tokens/8*4*(2*acts+grads),
		"model=tiny pp=2 schedule=zb-h1 microbatches=8": params/2*16 + tokens/8*4*(3*acts+grads),
		"model=tiny cp=2":                               params*16 + tokens/2*4*(2*acts+grads+10*64),
		"model=tiny cp=2 dp=2 zero=3":                   params*16/4 + tokens/4*4*(2*acts+grads+10*64),
		"model=tiny cp=2 pass=forward":                  params*4 + tokens/2*4*(2*acts+4*64),
		"model=tiny layout=2:4":                         (params-2*6*64*64)*16 + tokens*4*(2*acts+grads),
		// Per block an attention of 4·64², norms and biases, and four experts of 8·64², of which each of two ranks has two; capacity is left out.
		"model=tiny experts=4x1@1 ep=2 zero=1":      2*(4*64*64+13*64)*(8+8/2) + 2*2*8*64*64*16 + tokens/2*4*(2*acts+grads),
		"model=tiny experts=4x1@1 dp=2 ep=2 zero=3": 2*(4*64*64+13*64)*16/4 + 2*2*8*64*64*16/2 + tokens/4*4*(2*acts+grads),
		"model=tiny,V=100":                          (params+(100+32)*64)*16 + tokens*4*(2*acts+grads+100),
	} {
		c, err := ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.memory(); got != want {
			t.Errorf("%s: got %g, want %g", line, got, want)
		}
	}
}

func TestCheckMemory(t *testing.T) {
	c, err := ParseCase("model=7b dp=2")
	if err != nil {
		t.Fatal(err)
	}
	need, err := c.RankMemory()
	if err != nil || float64(need) < c.memory() {
		t.Fatalf("a rank needs %d bytes, at least %.0f: %v", need, c.memory(), err)
	}
	for _, test := range []struct {
		device    string
		available int64
		fits      bool
	}{{CPU, need, false}, {CPU, 2 * need, true}, {CUDA, need, true}, {CUDA, need - 1, false}} {
		c.Device = test.device
		err := c.CheckMemory(test.available)
		if (err == nil) != test.fits {
			t.Errorf("%s with %d of %d bytes a rank: %v", test.device, test.available, need, err)
		}
		if err != nil && !strings.Contains(err.Error(), "take a smaller --model") {
			t.Errorf("%v names no way out", err)
		}
	}
	huge := Default(Model{C: maxDim, NH: 1, T: maxDim, L: maxDim, B: maxDim})
	if huge.CheckMemory(1<<62) == nil {
		t.Error("the largest model of all fits")
	}
}
