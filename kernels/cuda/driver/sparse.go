package driver

import "fmt"

// SparseProducts is a library of products with 2:4 sparse weights on a context: cuSPARSELt on real GPUs.
type SparseProducts interface {
	// Library is its name and version.
	Library() string
	// Sizes is how many bytes a compressed weight takes, and how many calls need to work in. The error is ErrNotSupported, wrapped, where the library has no kernel for
	// the product. Of the addresses only that of the bias matters.
	Sizes(p SparseProduct) (compressed, work int64, err error)
	// Compress enqueues the making of p.Weight from a dense matrix (N,K), row-major, of which each four neighbours of a row have at least two zeros. What it makes is the
	// library's, and depends on N, K and the type only.
	Compress(s Stream, p SparseProduct, dense Ptr) error
	// Multiply enqueues a product.
	Multiply(s Stream, p SparseProduct) error
	// Close releases what the library holds. The context must still be open.
	Close() error
}

// SparseProduct is Out (M,N) = In (M,K) · Weightᵀ (K,N) + Addend (M,N) + Bias (N), row-major and contiguous, with sums in float32. Addresses of 0 stand for operands that are not
// there; Addend may be Out.
type SparseProduct struct {
	M, N, K           int
	Type              Type // of all operands: Float16 or BFloat16
	In, Weight        Ptr  // Weight as Compress made it
	Out, Addend, Bias Ptr
	Work              Ptr // as much as Sizes says, which the library may use until the call has run
}

// Refused is nil, or ErrNotSupported, wrapped, for what no release takes: dims that are not multiples of 8 (M) and 16 (N and K), and addresses that are not of 16 bytes
// (cuSPARSELt documentation, sections cusparseLtDenseDescriptorInit and cusparseLtStructuredDescriptorInit).
func (p SparseProduct) Refused() error {
	together := p.In | p.Weight | p.Out | p.Addend | p.Bias | p.Work
	switch {
	case p.Type != Float16 && p.Type != BFloat16:
		return fmt.Errorf("2:4 product of type %d: %w", p.Type, ErrNotSupported)
	case p.M%8 != 0 || p.N%16 != 0 || p.K%16 != 0 || together%16 != 0:
		return fmt.Errorf("2:4 product of %d x %d x %d on %d bytes: %w", p.M, p.N, p.K, together&-together, ErrNotSupported)
	}
	return nil
}
