package block

import (
	"math"
	"testing"

	"ofpeak/kernels"
)

var small = Config{C: 24, NH: 6, T: 5, L: 2, V: 11, Batch: 2, Precision: kernels.Precisions[0]}

// The shards of a tensor-parallel group tile every tensor, and carry the whole tensor's initial values.
func TestShardsTileTheWhole(t *testing.T) {
	whole, _ := layout(small.normal())
	for _, tp := range []int{2, 3, 6} {
		seen := make([][]int, len(whole))
		for i, p := range whole {
			seen[i] = make([]int, p.OC*p.C)
		}
		for rank := range tp {
			c := small
			c.TP, c.TPRank = tp, rank
			params, _ := layout(c.normal())
			for i, p := range params {
				for j := range p.OC * p.C {
					g := p.Global(j)
					seen[i][g]++
					if got, want := p.Init(7, j), whole[i].Init(7, g); got != want {
						t.Fatalf("tp=%d rank %d %s[%d] starts at %g, the whole's [%d] at %g", tp, rank, p.Name, j, got, g, want)
					}
				}
			}
		}
		for i, p := range whole {
			want := 1
			if parts, _ := layout(Config{C: 24, NH: 6, T: 5, L: 2, V: 11, Batch: 2, TP: tp}.normal()); parts[i].Replicated {
				want = tp
			}
			for j, n := range seen[i] {
				if n != want {
					t.Fatalf("tp=%d: %s[%d] is held by %d ranks, want %d", tp, p.Name, j, n, want)
				}
			}
		}
	}
}

// A query, key or value row of a shard lies in the same third of the whole matrix, in its own heads.
func TestQKVShardKeepsHeads(t *testing.T) {
	c := small
	c.TP, c.TPRank = 2, 1
	params, _ := layout(c.normal())
	for _, p := range params {
		if p.Name != "h1.qkv.weight" {
			continue
		}
		for third := range 3 {
			local, want := third*12*24, (third*24+12)*24 // row 0 of the local third is row 12 of the whole's
			if got := p.Global(local); got != want {
				t.Errorf("third %d starts at %d of the whole, want %d", third, got, want)
			}
		}
		return
	}
	t.Fatal("no h1.qkv.weight")
}

func TestParamsDoNotOverlap(t *testing.T) {
	c := small
	c.Layout = kernels.Layout{Format: kernels.Sparse24}
	end := 0
	params, _ := layout(c.normal())
	for _, p := range params {
		if p.Off < end || p.Off%align != 0 {
			t.Errorf("%s starts at %d, the one before ends at %d", p.Name, p.Off, end)
		}
		end = p.Off + p.Len
		if want := p.OC * p.C / 2; p.sparse && p.Len != want {
			t.Errorf("%s stores %d values at 2:4, want %d", p.Name, p.Len, want)
		}
	}
}

func TestNormalHasUnitScale(t *testing.T) {
	const n = 200000
	var sum, sq, lag float64
	prev := 0.
	for i := range uint64(n) {
		v := Normal(3, 5, i)
		if math.Abs(v) > 2*math.Sqrt(3) {
			t.Fatalf("value %d is %g", i, v)
		}
		sum, sq, lag, prev = sum+v, sq+v*v, lag+v*prev, v
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"mean": {sum / n, 0}, "variance": {sq / n, 1}, "correlation of neighbours": {lag / n, 0},
	} {
		if math.Abs(c.got-c.want) > 0.01 {
			t.Errorf("%s is %g, want %g within 0.01", name, c.got, c.want)
		}
	}
	if Normal(3, 5, 9) == Normal(4, 5, 9) || Normal(3, 5, 9) == Normal(3, 6, 9) {
		t.Error("another seed or tensor gives the same value")
	}
}

func TestCheckNamesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"heads": {func(c *Config) { c.NH = 5 }, "C=24 is not divisible by NH=5"},
		"tp":    {func(c *Config) { c.TP = 4 }, "NH=6 is not divisible by tp=4"},
		"stage": {func(c *Config) { c.Lo, c.Hi = 2, 9 }, "a stage of layers 2 to 9 does not lie in the model's 4"},
		"block": {func(c *Config) { c.Layout = kernels.Layout{Format: kernels.BlockSparse, Block: 16, Keep: 0.5} }, "block sparsity needs a weight divisible by its block of 16, not 72x24"},
		"fp8": {func(c *Config) {
			c.Precision, _ = kernels.PrecisionNamed("fp8")
			c.Layout.Format = kernels.Sparse24
		}, "fp8 products have dense weights only"},
		"int8":   {func(c *Config) { c.Precision, _ = kernels.PrecisionNamed("int8") }, "precision int8 and weight format int8 go together"},
		"length": {func(c *Config) { c.T = 0 }, "C, NH, T, L and B must be positive, not C=24 NH=6 T=0 L=2 B=2"},
	} {
		c2 := small
		c.change(&c2)
		if err := c2.Check(); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if err := small.Check(); err != nil {
		t.Error(err)
	}
}
