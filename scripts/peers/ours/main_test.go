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

func peers(t *testing.T) []peer {
	t.Helper()
	o, err := newOurs()
	if err != nil {
		t.Fatal(err)
	}
	return []peer{o, gonumPeer{}}
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
	for _, p := range peers(t) {
		for dtype, round := range rounds {
			if p.name() == "gonum" && dtype != "fp32" {
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

func TestWrongRequestsAreRefused(t *testing.T) {
	for _, p := range peers(t) {
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
