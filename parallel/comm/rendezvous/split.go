package rendezvous

import (
	"cmp"
	"slices"
)

// Ask is one rank's part in a Split.
type Ask struct{ Rank, Color, Key int }

// Groups are the ranks of each color that is not negative, ordered by key and then by rank.
func Groups(asks []Ask) [][]int {
	asks = slices.Clone(asks)
	slices.SortFunc(asks, func(a, b Ask) int {
		return cmp.Or(cmp.Compare(a.Color, b.Color), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Rank, b.Rank))
	})
	var groups [][]int
	for i, a := range asks {
		switch {
		case a.Color < 0:
		case i > 0 && asks[i-1].Color == a.Color:
			groups[len(groups)-1] = append(groups[len(groups)-1], a.Rank)
		default:
			groups = append(groups, []int{a.Rank})
		}
	}
	return groups
}
