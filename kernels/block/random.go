package block

import "math"

// Normal is a value of a standard normal scale that depends on nothing but its coordinates, so that any shard of a tensor equals the
// slice of the whole. It is the sum of four uniform numbers (Irwin-Hall), which never passes ±2·√3, drawn from one Hash.
func Normal(seed, tensor, index uint64) float64 {
	h := Hash(seed, tensor, index)
	sum := h&0xffff + h>>16&0xffff + h>>32&0xffff + h>>48
	return (float64(sum)/65536 - 2 + 2./65536) * math.Sqrt(3)
}

// Hash is 64 random bits that depend on nothing but their coordinates: two rounds of SplitMix64 (Steele et al., "Fast Splittable
// Pseudorandom Number Generators", 2014).
func Hash(seed, stream, index uint64) uint64 {
	const golden = 0x9e3779b97f4a7c15
	return mix(mix(seed+golden*(stream+1)) + golden*(index+1))
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
