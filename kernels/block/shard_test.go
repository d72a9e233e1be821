package block

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"ofpeak/kernels/ref"
)

// Whatever is spread, and over how many ranks: the ranks' parts of all buckets tile the parameters, and their shards hold every part once.
func TestPartsTileTheStage(t *testing.T) {
	for _, ranks := range []int{2, 3, 5} {
		for _, bucket := range []int{0, 1, 100, 1000} {
			seen := map[int]int{}
			for rank := range ranks {
				c := small
				c.Shards = Shards{Ranks: ranks, Rank: rank, Level: 2, Bucket: bucket}
				dev := ref.New()
				s, err := dev.NewStream()
				if err != nil {
					t.Fatal(err)
				}
				st, err := New(dev, s, c)
				if err != nil {
					t.Fatal(err)
				}
				next := 0
				for layer := range st.kinds {
					bs := st.Buckets(layer)
					for i := len(bs) - 1; i >= 0; i-- {
						whole, part := st.Own(st.Weights, bs[i]), st.Own(st.Grads, bs[i])
						if part.Off != next || part.Size() != whole.Size() {
							t.Fatalf("%+v: bucket %v has %d elements from %d of the shard, want %d from %d", c.Shards, bs[i], part.Size(), part.Off, whole.Size(), next)
						}
						next += part.Size()
						for e := range whole.Size() {
							seen[whole.Off+e]++
						}
					}
				}
				if next != st.Grads.Size() || next*ranks != st.Size() {
					t.Errorf("%+v: parts of %d elements, a shard of %d, a stage of %d", c.Shards, next, st.Grads.Size(), st.Size())
				}
				st.Close()
			}
			for e, n := range seen {
				if n != 1 {
					t.Fatalf("%d ranks, bucket %d: element %d has %d owners", ranks, bucket, e, n)
				}
			}
		}
	}
}

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
