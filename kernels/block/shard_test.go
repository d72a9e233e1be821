package block

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestBucketsByHand(t *testing.T) {
	for _, c := range []struct {
		n, each int
		want    []Range
	}{
		{0, 10, nil},
		{7, 10, []Range{{0, 7}}},
		{20, 10, []Range{{10, 20}, {0, 10}}},
		{25, 10, []Range{{15, 25}, {5, 15}, {0, 5}}},
		{25, 1000, []Range{{0, 25}}},
	} {
		if got := Buckets(Range{Hi: c.n}, c.each); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d gradients by %d: %v, want %v", c.n, c.each, got, c.want)
		}
	}
}

// Buckets tile the gradients from the end, none but the last of another size.
func TestBucketsTile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		n, each := rng.IntN(500), 1+rng.IntN(120)
		at := n
		bs := Buckets(Range{Hi: n}, each)
		for i, b := range bs {
			if b.Hi != at || b.Lo >= b.Hi || i < len(bs)-1 && b.Hi-b.Lo != each || b.Hi-b.Lo > each {
				t.Fatalf("%d by %d: bucket %d of %v", n, each, i, bs)
			}
			at = b.Lo
		}
		if at != 0 {
			t.Fatalf("%d by %d: %v leaves out the first %d", n, each, bs, at)
		}
	}
}
