package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// naive is the definition of the three products of a linear layer with x (tokens, in), w (out, in), dout (tokens, out).
func naive(op string, tokens, in, out int, round func(float32) float64) []float64 {
	value := func(stream, row, cols, col int) float64 {
		return round(float32(block.Normal(seed, uint64(stream), uint64(row*cols+col))))
	}
	sum := func(n int, term func(i int) float64) (s float64) {
		for i := range n {
			s += term(i)
		}
		return s
	}
	var c []float64
	switch op {
	case "forward":
		for t := range tokens {
			for o := range out {
				c = append(c, sum(in, func(i int) float64 { return value(0, t, in, i) * value(1, o, in, i) }))
			}
		}
	case "dinput":
		for t := range tokens {
			for i := range in {
				c = append(c, sum(out, func(o int) float64 { return value(0, t, out, o) * value(1, o, in, i) }))
			}
		}
	case "dweight":
		for o := range out {
			for i := range in {
				c = append(c, sum(tokens, func(t int) float64 { return value(0, t, out, o) * value(1, t, in, i) }))
			}
		}
	}
	return c
}

func ask(t *testing.T, p peer, lines ...string) []string {
	t.Helper()
	var out strings.Builder
	if err := serve(strings.NewReader(strings.Join(lines, "\n")+"\n"), &out, p); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

func peers(t *testing.T, names ...string) []peer {
	t.Helper()
	var ps []peer
	for _, name := range names {
		p, err := newPeer([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

func TestProductsAreTheDefinition(t *testing.T) {
	const tokens, in, out, count = 7, 19, 33, 50
	eps := map[string]float64{"bf16-bf16": kernels.BF16.Eps()}
	rounds := map[string]func(float32) float64{
		"fp32":      func(x float32) float64 { return float64(x) },
		"bf16":      func(x float32) float64 { return float64(kernels.F32FromBF16(kernels.BF16FromF32(x))) },
		"bf16-bf16": func(x float32) float64 { return float64(kernels.F32FromBF16(kernels.BF16FromF32(x))) },
		"int8":      func(x float32) float64 { return math.RoundToEven(float64(x) * 32) },
	}
	for _, p := range peers(t, "products", "gonum", "gorgonia-default", "gorgonia") {
		for dtype, round := range rounds {
			if p.name() != "ofpeak" && dtype != "fp32" {
				continue
			}
			for _, op := range []string{"forward", "dinput", "dweight"} {
				t.Run(strings.Join([]string{p.name(), dtype, op}, "/"), func(t *testing.T) {
					want := naive(op, tokens, in, out, round)
					got := ask(t, p, fmt.Sprintf("prepare %s %dx%dx%d %s", op, tokens, in, out, dtype), "time 0", fmt.Sprint("sample ", count))
					if len(got) != 4 || got[1] != "ok" {
						t.Fatalf("answers %q", got)
					}
					if s, err := strconv.ParseFloat(got[2], 64); err != nil || s <= 0 {
						t.Errorf("time answered %q", got[2])
					}
					for i, field := range strings.Fields(got[3]) {
						v, err := strconv.ParseFloat(field, 64)
						w := want[block.Hash(seed, sampleStream, uint64(i))%uint64(len(want))]
						if err != nil || math.Abs(v-w) > 1e-4+eps[dtype]*math.Abs(w) {
							t.Fatalf("sample %d is %s, want %g", i, field, w)
						}
					}
				})
			}
		}
	}
}

// Sparse products are the dense ones with zeros, and int8 products those of the same numbers in fp32.
func TestVariantsAgree(t *testing.T) {
	sample := func(p peer, request string) []float64 {
		got := ask(t, p, "prepare "+request, "time 0", "time 0", "sample 200")
		if len(got) != 5 || got[1] != "ok" {
			t.Fatalf("%s answers %q", p.name(), got)
		}
		var values []float64
		for _, field := range strings.Fields(got[4]) {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, v)
		}
		return values
	}
	sparse, products := peers(t, "sparse", "dense"), peers(t, "products", "fp32")
	for _, op := range []string{"forward", "dinput", "dweight"} {
		for dtype, pair := range map[string][]peer{"fp32-2:4": sparse, "fp32-block16-50": sparse, "fp32-block32-75": sparse, "int8": products} {
			request := op + " 40x64x128 " + dtype
			ours, theirs := sample(pair[0], request), sample(pair[1], request)
			nonzero := 0
			for i, v := range ours {
				if math.Abs(v-theirs[i]) > 1e-4 {
					t.Fatalf("%s: %g and %g", request, v, theirs[i])
				}
				if v != 0 {
					nonzero++
				}
			}
			if nonzero < 100 {
				t.Errorf("%s: %d values are not zero", request, nonzero)
			}
		}
	}
	for _, request := range []string{"fp32-2:4 forward 4x12x8", "fp32-block16-50 forward 4x24x16", "fp32-block16-100 forward 4x16x16", "fp32 forward 4x16x16"} {
		words := strings.Fields(request)
		if got := ask(t, sparse[0], strings.Join([]string{"prepare", words[1], words[2], words[0]}, " ")); !strings.HasPrefix(got[1], "no sparse type") {
			t.Errorf("%s: answers %q", request, got)
		}
	}
}

func TestWrongRequestsAreRefused(t *testing.T) {
	for _, p := range peers(t, "products", "gonum") {
		got := ask(t, p, "time 1", "prepare forward 3x3 fp32", "prepare forward 0x3x3 fp32", "prepare hop 3x3x3 fp32",
			"prepare forward 3x3x3 fp7", "prepare forward 3x3x3 fp32", "sample many", "dance")
		want := []string{"ready " + p.name(), "no request was prepared", "no shape 3x3; give tokens x in x out",
			"no shape 0x3x3; give tokens x in x out", "no operation hop here", "no type fp7 here", "ok",
			`no strconv.Atoi: parsing "many": invalid syntax`, "no such verb; use prepare, time or sample"}
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("%s: answers %q, want %q", p.name(), got, want)
			}
		}
	}
}

// The first three losses of a small block fall, and are those of another precision up to its rounding.
func TestTrainingLossesFall(t *testing.T) {
	p := peers(t, "train")[0]
	losses := map[string][]float64{}
	for _, dtype := range []string{"fp32", "bf16"} {
		got := ask(t, p, "prepare train 32x4x24x2x2 "+dtype, "time 0", "sample 3")
		if len(got) != 4 || got[1] != "ok" {
			t.Fatalf("answers %q", got)
		}
		for _, field := range strings.Fields(got[3]) {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			losses[dtype] = append(losses[dtype], v)
		}
	}
	if fp32 := losses["fp32"]; len(fp32) != 3 || !(fp32[0] > fp32[1] && fp32[1] > fp32[2] && fp32[2] > 0) {
		t.Fatalf("fp32 losses %v", fp32)
	}
	for i, v := range losses["fp32"] {
		if b := losses["bf16"][i]; math.Abs(b-v) > kernels.BF16.Eps()*v {
			t.Errorf("loss %d is %g in bf16, %g in fp32", i, b, v)
		}
	}
}

func TestWrongTrainingIsRefused(t *testing.T) {
	got := ask(t, peers(t, "train")[0], "prepare train 32x4x24 fp32", "prepare train 32x5x24x1x1 fp32", "prepare train 32x4x24x1x1 fp7",
		"prepare forward 3x3x3 fp32", "time 1")
	want := []string{"ready ofpeak", "no shape 32x4x24; give C x NH x T x L x B", "no C=32 is not divisible by NH=5", "no type fp7 here",
		"no operation forward here", "no request was prepared"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("answers %q, want %q", got, want)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"train", "gonum"}} {
		if p, err := newPeer(args); err == nil {
			t.Errorf("%q made %s", args, p.name())
		}
	}
}
