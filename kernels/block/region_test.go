package block_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/ref"
)

// logged writes down a forward pass's products and sums.
type logged struct {
	kernels.Stream
	calls *[]string
}

func (l logged) note(what string, x kernels.Tensor) {
	lo := x.Off / x.Dim(-1)
	*l.calls = append(*l.calls, fmt.Sprintf("%s %d-%d", what, lo, lo+x.Rows()))
}

func (l logged) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	l.note("multiply", out)
	l.Stream.LinearForward(out, x, w, e)
}

func (l logged) Add(out, x, bias, residual kernels.Tensor) {
	l.note("add", out)
	l.Stream.Add(out, x, bias, residual)
}

// halves is a region of two pieces that sums and gathers nothing.
type halves struct {
	block.Region
	calls *[]string
	all   kernels.Tensor // of a rank with its own tokens only
}

func (h halves) note(format string, args ...any) {
	*h.calls = append(*h.calls, fmt.Sprintf(format, args...))
}

func (halves) Pieces() int { return 2 }
func (halves) Piece(x kernels.Tensor, i, n int) kernels.Tensor {
	return x.Slice(i*x.Dim(0)/n, (i+1)*x.Dim(0)/n)
}
func (h halves) Partial(x kernels.Tensor) kernels.Tensor {
	if h.all.None() {
		return x
	}
	return h.all
}
func (h halves) StartSum(_ kernels.Stream, _ kernels.Tensor, i, n int) {
	h.note("start %d of %d", i, n)
}
func (h halves) EndSum(_ kernels.Stream, i int) { h.note("end %d", i) }
func (h halves) Prefetch(kernels.Stream, kernels.Tensor) int {
	if h.all.None() {
		return 1
	}
	h.note("gather")
	return 2
}
func (h halves) Fetched(_ kernels.Stream, x kernels.Tensor, i, n int) kernels.Tensor {
	if h.all.None() {
		return x
	}
	h.note("fetched %d of %d", i, n)
	return h.Piece(h.all, i, n)
}

// In a forward pass the first piece's sum is started before the second is multiplied, and waited for behind that; what is gathered in pieces is multiplied piece by piece.
func TestPiecesAreSummedBesideProducts(t *testing.T) {
	row := "multiply 0-2, start 0 of 2, multiply 2-4, start 1 of 2, end 0, add %s, end 1, add %s"
	gather := "gather, fetched 0 of 2, multiply 0-2, fetched 1 of 2, multiply 2-4"
	for name, c := range map[string]struct {
		sequence bool
		want     []string
	}{
		"all tokens": {false, []string{"multiply 0-4", fmt.Sprintf(row, "0-2", "2-4"), "multiply 0-4", fmt.Sprintf(row, "0-2", "2-4")}},
		"own tokens": {true, []string{gather, fmt.Sprintf(row, "0-1", "1-2"), gather, fmt.Sprintf(row, "0-1", "1-2")}},
	} {
		dev := ref.New()
		s, err := dev.NewStream()
		if err != nil {
			t.Fatal(err)
		}
		cfg := block.Config{C: 8, NH: 2, T: 2, L: 1, Batch: 2, TP: 2, Sequence: c.sequence, Pieces: 2, Precision: precision(t, "fp64")}
		st, err := block.New(dev, s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		a, err := st.NewActs()
		if err != nil {
			t.Fatal(err)
		}
		var calls []string
		region := halves{calls: &calls}
		if c.sequence {
			b, err := dev.Alloc(kernels.F64, 4*8)
			if err != nil {
				t.Fatal(err)
			}
			region.all = kernels.Of(b, 4, 8)
		}
		st.Run(logged{s, &calls}, a, region, nil)
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(calls, ", "), strings.Join(c.want, ", "); got != want {
			t.Errorf("%s: the calls are\n%s, want\n%s", name, got, want)
		}
	}
}

// Each tensor-parallel rank holds its part of each piece, and together they hold all tokens once.
func TestTokensOfRanks(t *testing.T) {
	c := block.Config{C: 8, NH: 2, T: 6, Batch: 2, TP: 2, Pieces: 2, Sequence: true}
	for rank, want := range [][]int{{0, 1, 2, 6, 7, 8}, {3, 4, 5, 9, 10, 11}} {
		if c.TPRank = rank; !slices.Equal(c.Tokens(), want) {
			t.Errorf("rank %d holds tokens %v, want %v", rank, c.Tokens(), want)
		}
	}
	c.Sequence = false
	if got := c.Tokens(); len(got) != 12 || got[0] != 0 || got[11] != 11 {
		t.Errorf("without sequence parallelism a rank holds tokens %v", got)
	}
}
