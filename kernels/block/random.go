package block

import "math"

// Normal is a value of a standard normal scale that depends on nothing but its coordinates, so that any shard of a tensor equals the
// slice of the whole. It is the sum of four uniform numbers (Irwin-Hall), cut at ±2·√3, drawn from one SplitMix64 output (Steele et
// al., "Fast Splittable Pseudorandom Number Generators", 2014).
func Normal(seed, tensor, index uint64) float64 {
	h := mix(mix(seed+0x9e3779b97f4a7c15*(tensor+1)) + 0x9e3779b97f4a7c15*(index+1))
	sum := h&0xffff + h>>16&0xffff + h>>32&0xffff + h>>48
	return (float64(sum)/65536 - 2 + 2./65536) * math.Sqrt(3)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
