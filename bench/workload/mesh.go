package workload

import (
	"fmt"
	"slices"
	"strings"
)

// mesh is how a world is split along its axes.
type mesh struct{ dp, tp, pp, ep, cp int }

// meshes factors each number of ranks over each product of axes; what does not factor is a failure.
func (p *plan) meshes(s Settings) []mesh {
	var out []mesh
	for _, axes := range s.Axes {
		for _, ranks := range s.Ranks {
			for _, cp := range or(s.Contexts, []int{0}) {
				m, err := split(axes, ranks, cp)
				if err != nil {
					p.failed = append(p.failed, failure{Distributed, ranks, err})
					continue
				}
				out = append(out, m)
			}
		}
	}
	return out
}

// split factors ranks over axes. cp of them, unless that is 0, are context-parallel whether or not the axes name cp.
func split(axes string, ranks, cp int) (mesh, error) {
	if cp == 0 {
		return factor(axes, ranks)
	}
	if cp < 1 || cp > maxRanks || ranks%cp != 0 {
		return mesh{}, fmt.Errorf("--cp %d does not divide --ranks %d; pass a factor of it", cp, ranks)
	}
	others := slices.DeleteFunc(strings.Split(axes, "*"), func(name string) bool { return name == "cp" })
	if len(others) == 0 && ranks > cp {
		return mesh{}, fmt.Errorf("--cp %d leaves %d of --ranks %d for no other axis; pass --cp %d", cp, ranks/cp, ranks, ranks)
	}
	m, err := factor(strings.Join(others, "*"), ranks/cp)
	m.cp = cp
	return m, err
}

// factor splits ranks over axes such as dp or dp*tp, into factors of 2 or more that are as equal as can be, the larger ones first. One rank
// is not split at all.
func factor(axes string, ranks int) (mesh, error) {
	m := mesh{1, 1, 1, 1, 1}
	if ranks == 1 {
		return m, nil
	}
	if ranks < 1 || ranks > maxRanks {
		return m, fmt.Errorf("--ranks %d is outside 1 to %d; pass a number within", ranks, maxRanks)
	}
	names := strings.Split(axes, "*")
	sizes := balanced(ranks, len(names), ranks)
	if sizes == nil {
		least := 1 << len(names)
		return m, fmt.Errorf("--ranks %d cannot be split over %s with 2 or more each; take %d, %d or another product", ranks, axes, least, 2*least)
	}
	for i, name := range names {
		*map[string]*int{"dp": &m.dp, "tp": &m.tp, "pp": &m.pp, "ep": &m.ep, "cp": &m.cp}[name] = sizes[i]
	}
	return m, nil
}

// balanced is n as a product of k factors from 2 to most, descending, with the smallest possible largest one; nil if there is none.
func balanced(n, k, most int) []int {
	if k == 1 {
		if n < 2 || n > most {
			return nil
		}
		return []int{n}
	}
	for f := 2; f <= most; f++ {
		if n%f != 0 {
			continue
		}
		if rest := balanced(n/f, k-1, f); rest != nil {
			return append([]int{f}, rest...)
		}
	}
	return nil
}
