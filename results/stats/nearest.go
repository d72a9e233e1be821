package stats

import (
	"cmp"
	"math"
	"slices"
)

// NearestHalf is the half of the items, rounded up, of which a quantity differs least from a value, nearest first.
func NearestHalf[T any](items []T, value float64, quantity func(T) float64) []T {
	off := func(item T) float64 { return math.Abs(quantity(item) - value) }
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(off(a), off(b)) })
	return items[:(len(items)+1)/2]
}
