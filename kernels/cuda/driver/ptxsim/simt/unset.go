package simt

import (
	"maps"
	"slices"

	"ofpeak/kernels/cuda/driver"
)

// A register that no instruction has set holds anything (PTX ISA, section "Register State Space"). Most reads are preceded by a write on every path, which is found when a kernel is
// compiled and costs nothing when it runs. The variables of all other reads are watched: which lanes of a warp have set them.

// variable is a register or a predicate of a kernel.
type variable int

func register(r int) variable  { return variable(2 * r) }
func predicate(p int) variable { return variable(2*p + 1) }

// variables are what an instruction reads and writes.
type variables struct{ uses, sets []variable }

// bitset holds small numbers.
type bitset []uint64

func (b bitset) has(v variable) bool { return b[v/64]>>(v%64)&1 == 1 }
func (b bitset) add(v variable)      { b[v/64] |= 1 << (v % 64) }

// watchUnset makes the instructions that may read what was not set check that.
func (c *compiler) watchUnset(g graph, of []variables) {
	code := c.kernel.code
	unsure := c.unsure(g, of) // by instruction
	slots := map[variable]int{}
	for _, vs := range unsure {
		for _, v := range vs {
			if _, ok := slots[v]; !ok {
				slots[v] = len(slots)
			}
		}
	}
	if c.kernel.watched = len(slots); len(slots) == 0 {
		return
	}
	names := c.names()
	for pc := range code {
		in := &code[pc]
		var sets []int
		for _, v := range of[pc].sets {
			if slot, ok := slots[v]; ok {
				sets = append(sets, slot)
			}
		}
		var checks []step
		for _, v := range unsure[pc] {
			check := checkSet(slots[v], names[v])
			if in.guard >= 0 && v == predicate(in.guard) {
				in.first = check
				continue
			}
			checks = append(checks, check)
		}
		if len(sets)+len(checks) > 0 {
			in.run = watched(in.run, checks, sets)
		}
	}
}

func checkSet(slot int, name string) step {
	return func(w *warp, mask uint32) {
		if unset := mask &^ w.set[slot]; unset != 0 {
			w.fault(firstLane(unset), driver.ErrLaunchFailed, "register %s is read before it is written", name)
		}
	}
}

func watched(run step, checks []step, sets []int) step {
	return func(w *warp, mask uint32) {
		for _, check := range checks {
			check(w, mask)
		}
		if run != nil {
			run(w, mask)
		}
		for _, slot := range sets {
			w.set[slot] |= mask
		}
	}
}

// names are those of the kernel's variables.
func (c *compiler) names() map[variable]string {
	names := map[variable]string{}
	for name, r := range c.regs {
		names[register(r)] = name
	}
	for name, p := range c.preds {
		names[predicate(p)] = name
	}
	return names
}

// unsure lists for each instruction the variables that it reads and that some path to it does not set. What a guarded instruction sets may stay unset.
func (c *compiler) unsure(g graph, of []variables) [][]variable {
	words := 2*max(c.kernel.regs, c.kernel.preds)/64 + 1
	free := make(bitset, words) // constants, and what the warp's place determines
	for _, k := range c.kernel.consts {
		free.add(register(k.reg))
	}
	for _, s := range c.kernel.specials {
		free.add(register(s.reg))
	}
	in := make([]bitset, len(g.starts)+1) // set before each block on all paths; nil: no path is known yet
	in[0] = free
	walk := func(b int, visit func(pc int, set bitset)) bitset {
		set := slices.Clone(in[b])
		for pc := g.starts[b]; pc < g.limit(b, c.source); pc++ {
			visit(pc, set)
			if c.kernel.code[pc].guard < 0 {
				for _, v := range of[pc].sets {
					set.add(v)
				}
			}
		}
		return set
	}
	for changed := true; changed; {
		changed = false
		for b := range g.starts {
			if in[b] == nil {
				continue
			}
			out := walk(b, func(int, bitset) {})
			for _, n := range g.next[b] {
				changed = meetSets(&in[n], out) || changed
			}
		}
	}
	found := make([][]variable, len(of))
	for b := range g.starts {
		if in[b] == nil {
			continue // no path leads here
		}
		walk(b, func(pc int, set bitset) {
			unset := map[variable]bool{}
			for _, v := range of[pc].uses {
				if !set.has(v) {
					unset[v] = true
				}
			}
			found[pc] = slices.Sorted(maps.Keys(unset))
		})
	}
	return found
}

// meetSets takes from a block's set what another path to it does not set, and tells whether that changed it.
func meetSets(to *bitset, out bitset) (changed bool) {
	if *to == nil {
		*to = slices.Clone(out)
		return true
	}
	for i, w := range out {
		if (*to)[i]&^w != 0 {
			(*to)[i] &= w
			changed = true
		}
	}
	return changed
}
