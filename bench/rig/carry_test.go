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
	measured := ceiling{[]peak.Rate{{Type: "float32", Variant: "avx2", All: 97.5}}, 2.5e9}
	from.keep(2, "float32", measured)
	from.bandwidths[1] = 12.25
	known := ceiling{[]peak.Rate{{Type: "int8", Variant: "go", All: 1}}, 1}
	to.keep(2, "int8", known)
	to.keep(1, "int8", known)
	text, err := from.Carry()
	if err == nil {
		err = to.Recall(text)
	}
	want := map[int]map[string]ceiling{2: {"float32": measured, "int8": known}, 1: {"int8": known}}
	if err != nil || !reflect.DeepEqual(to.ceilings, want) || !reflect.DeepEqual(to.bandwidths, from.bandwidths) {
		t.Errorf("%s became %v and %v, %v", text, to.ceilings, to.bandwidths, err)
	}
	if err := to.Recall([]byte("{")); err == nil {
		t.Error("half an object is taken over")
	}
}
