package block

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// Whatever is spread, and over how many ranks: the ranks' parts of all buckets tile the parameters, and their shards hold every part once. Experts have fewer owners
// than all else, so that each owner of a part of them stands for several ranks.
func TestPartsTileTheStage(t *testing.T) {
	mixed := small
	mixed.Experts = Experts{Count: 4, TopK: 2, Capacity: 1}
	for _, c := range []struct {
		Config
		all, same, ep int
	}{{small, 2, 2, 1}, {small, 3, 3, 1}, {small, 5, 5, 1}, {mixed, 3, 3, 1}, {mixed, 2, 1, 2}, {mixed, 4, 2, 2}, {mixed, 4, 1, 4}, {mixed, 6, 3, 2}} {
		for _, bucket := range []int{0, 1, 100, 1000} {
			owners := map[int]int{}
			for rank := range c.all {
				st := spread(t, c.Config, rank, c.all, c.same, c.ep, bucket)
				for _, part := range tiles(t, st) {
					for e := range part.Size() {
						owners[part.Off+e]++
					}
				}
			}
			for _, s := range spread(t, c.Config, 0, c.all, c.same, c.ep, bucket).Segments() {
				want := 1
				if s.Expert {
					want = c.ep
				}
				for e := s.Lo; e < s.Hi; e++ {
					if owners[e] != want {
						t.Fatalf("%d of %d ranks, bucket %d: element %d has %d owners, want %d", c.same, c.all, bucket, e, owners[e], want)
					}
				}
			}
		}
	}
}

// spread is a stage with its gradients spread over some ranks, and its experts over fewer.
func spread(t *testing.T, c Config, rank, all, same, ep, bucket int) *Stage {
	t.Helper()
	c.Experts.Ranks = ep
	c.Shards = Shards{All: Group{all, rank}, Same: Group{same, rank / ep}, Level: 2, Bucket: bucket}
	dev := ref.New()
	s, err := dev.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	st, err := New(dev, s, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// tiles are a rank's parts of all buckets in an arena that is whole. They lie in its shard one behind another.
func tiles(t *testing.T, st *Stage) (parts []kernels.Tensor) {
	t.Helper()
	next := 0
	for layer := range st.kinds {
		for _, b := range slices.Backward(st.Buckets(layer)) {
			whole, part := st.Own(st.Weights, b), st.Own(st.Grads, b)
			if part.Off != next || part.Size() != whole.Size() {
				t.Fatalf("%+v: bucket %v has %d elements from %d of the shard, want %d from %d", st.Shards, b, part.Size(), part.Off, whole.Size(), next)
			}
			next += part.Size()
			parts = append(parts, whole)
		}
	}
	if next != st.Grads.Size() {
		t.Errorf("%+v: parts of %d elements, a shard of %d", st.Shards, next, st.Grads.Size())
	}
	return parts
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
