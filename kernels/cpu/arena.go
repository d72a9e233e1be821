package cpu

import "unsafe"

// arena is scratch memory that is handed out from the start again with every operator and grows to the largest need.
type arena struct {
	memory []float32
	used   int
}

// reset takes back what was handed out, and makes room for as much as was needed since the last reset.
func (a *arena) reset() {
	if a.used > len(a.memory) {
		a.memory = aligned(a.used)
	}
	a.used = 0
}

// take gives n float32 at a 64-byte boundary, of undefined value, until the next reset.
func (a *arena) take(n int) []float32 {
	lo := a.used
	a.used += (n + line - 1) / line * line
	if a.used > len(a.memory) {
		return aligned(n)
	}
	return a.memory[lo : lo+n : lo+n]
}

// aligned gives n float32 at a 64-byte boundary.
func aligned(n int) []float32 {
	raw := make([]float32, n+line)
	skip := int(-uintptr(unsafe.Pointer(&raw[0])) % 64 / 4)
	return raw[skip : skip+n : skip+n]
}
