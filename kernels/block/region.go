package block

import "ofpeak/kernels"

// Region is where one tensor-parallel rank's block meets its peers: the conjugate pair f and g of Shoeybi et al., "Megatron-LM",
// arXiv:1909.08053, section 3. A nil Region means one rank holds the whole block.
type Region interface {
	// Enter is f's backward: dx becomes its sum over ranks. Its forward is the identity.
	Enter(s kernels.Stream, dx kernels.Tensor)
	// Leave is g's forward: x becomes its sum over ranks. Its backward is the identity.
	Leave(s kernels.Stream, x kernels.Tensor)
}
