package verify

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// Golden outputs come back as they were, and every value that has other bits counts.
func TestGoldenOutputsKeepEveryBit(t *testing.T) {
	c := Case{Op: kernels.OpLinear, Type: kernels.F32, Name: "one", seed: 5}
	outs := []Output{{"out", []float64{1, math.NaN(), math.Inf(-1), 0x1p-149, -0.5}, 1}, {"aux", []float64{2}, 0}}
	g := NewGolden("a GPU", 7)
	if err := g.Add("fma", c, outs); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := g.Write(&file); err != nil {
		t.Fatal(err)
	}
	back, err := ReadGolden(&file)
	if err != nil || back.Device != "a GPU" || back.Seed != 7 || back.Len() != 2 {
		t.Fatalf("%+v, %v", back, err)
	}
	if d := back.Compare("fma", c, outs); d != (Difference{Outputs: 2}) {
		t.Errorf("equal outputs: %+v", d)
	}
	outs[0].Values[0] = float64(math.Nextafter32(1, 2))
	if d := back.Compare("fma", c, outs); d.Outputs != 2 || d.Differ != 1 || d.RelError <= 0 || d.RelError > 0x1p-23 || d.Missing != 0 {
		t.Errorf("a bit changed: %+v", d)
	}
	other := c
	other.seed++
	if d := back.Compare("mma", c, outs).Join(back.Compare("fma", other, outs)); d != (Difference{Missing: 4}) {
		t.Errorf("what was not recorded: %+v", d)
	}
	if err := g.Add("fma", c, []Output{{"out", []float64{0.1}, 0}}); err == nil {
		t.Error("a float64 was rounded")
	}
}

func TestGoldenRefusesOtherFiles(t *testing.T) {
	for _, text := range []string{"", "case,technique\n"} {
		if _, err := ReadGolden(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// A value that is not among those kept counts too.
func TestGoldenSumsCoverAllValues(t *testing.T) {
	c, g := Case{Op: kernels.OpLinear, Type: kernels.F32}, NewGolden("", 1)
	v := make([]float64, 1000)
	outs := []Output{{"out", v, 1}}
	if err := g.Add("fma", c, outs); err != nil {
		t.Fatal(err)
	}
	for i := range v {
		v[i] = 0x1p-149
		if d := g.Compare("fma", c, outs); d.Differ != 1 {
			t.Errorf("value %d is not covered", i)
		}
		v[i] = 0
	}
	if d := g.Compare("fma", c, []Output{{"out", v[1:], 1}}); d != (Difference{Missing: 1}) {
		t.Errorf("of another length: %+v", d)
	}
}

// Every case's outputs have a key of their own.
func TestGoldenOutputsHaveKeysOfTheirOwn(t *testing.T) {
	g, n, dev := NewGolden("", 1), 0, ref.New()
	s, err := dev.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Cases(1) {
		if c.Type != kernels.F32 || c.Op == kernels.OpAttention {
			continue // the others have the same names, and take longer
		}
		outs, err := c.run(dev, s, false)
		if err != nil {
			t.Fatal(err)
		}
		n += len(outs)
		for _, o := range outs {
			if err := g.Add("v", c, []Output{{o.name, o.values, o.scale}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if g.Len() != n {
		t.Errorf("%d outputs have %d keys", n, g.Len())
	}
}
