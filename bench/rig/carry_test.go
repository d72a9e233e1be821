package rig

import (
	"reflect"
	"testing"

	"ofpeak/bench/measure"
	"ofpeak/kernels/cpu/peak"
)

// What one rig has measured, another knows, and keeps what it knew itself.
func TestCarry(t *testing.T) {
	from, err := New(Options{Rule: measure.Smoke})
	if err != nil {
		t.Fatal(err)
	}
	to, err := New(Options{Rule: measure.Smoke})
	if err != nil {
		t.Fatal(err)
	}
	from.rates[2] = []peak.Rate{{Type: "float32", Variant: "avx2", One: 50, All: 97.5}}
	from.bandwidths[1] = 12.25
	to.rates[1] = []peak.Rate{{Type: "int8", Variant: "go", One: 1, All: 1}}
	text, err := from.Carry()
	if err == nil {
		err = to.Recall(text)
	}
	if err != nil || !reflect.DeepEqual(to.rates[2], from.rates[2]) || len(to.rates[1]) != 1 || !reflect.DeepEqual(to.bandwidths, from.bandwidths) {
		t.Errorf("%s became %v and %v, %v", text, to.rates, to.bandwidths, err)
	}
	if err := to.Recall([]byte("{")); err == nil {
		t.Error("half an object is taken over")
	}
}
