package dp

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestBucketsByHand(t *testing.T) {
	ranges := [][2]int{{0, 100}, {100, 110}, {110, 120}, {120, 130}, {0, 0}} // an embedding, three blocks, a head without parameters
	for _, c := range []struct {
		atLeast int
		want    []Bucket
	}{
		{1, []Bucket{{120, 130, 3}, {110, 120, 2}, {100, 110, 1}, {0, 100, 0}}},
		{10, []Bucket{{120, 130, 3}, {110, 120, 2}, {100, 110, 1}, {0, 100, 0}}},
		{11, []Bucket{{110, 130, 2}, {0, 110, 0}}},
		{25, []Bucket{{100, 130, 1}, {0, 100, 0}}},
		{1000, []Bucket{{0, 130, 0}}},
	} {
		if got := Buckets(ranges, c.atLeast); !reflect.DeepEqual(got, c.want) {
			t.Errorf("at least %d: %v, want %v", c.atLeast, got, c.want)
		}
	}
	if got := Buckets([][2]int{{0, 0}}, 10); got != nil {
		t.Errorf("a stage without parameters has buckets %v", got)
	}
}

// Buckets tile the gradients from the end, none but the last smaller than asked.
func TestBucketsTile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var ranges [][2]int
		end := 0
		for range 1 + rng.IntN(10) {
			n := rng.IntN(50)
			ranges = append(ranges, [2]int{end, end + n})
			end += n
		}
		atLeast := 1 + rng.IntN(120)
		bs, at := Buckets(ranges, atLeast), end
		for i, b := range bs {
			if b.Hi != at || b.Lo >= b.Hi || ranges[b.Layer][0] != b.Lo {
				t.Fatalf("%v, at least %d: bucket %d of %v", ranges, atLeast, i, bs)
			}
			if i < len(bs)-1 && b.Hi-b.Lo < atLeast {
				t.Fatalf("%v: bucket %d of %v is smaller than %d", ranges, i, bs, atLeast)
			}
			at = b.Lo
		}
		if at != 0 {
			t.Fatalf("%v: %v leaves out the first %d", ranges, bs, at)
		}
	}
}
