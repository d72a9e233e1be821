package report

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/results"
	"ofpeak/results/compare"
)

// judgeLargest is the verdict of searches: of the largest model or batch that trained within the memory of a rank, with the technique and without. A claim that none was for has
// no cases.
func (c claim) judgeLargest(m *Machine) Claim {
	out := Claim{Technique: c.technique, Claimed: c.claimed, Measure: "largest " + strings.Join(c.largest, " or ") + " that trains in the memory of a rank / in that of one rank without the technique",
		Machine: m, Verdict: NotMeasured}
	for _, e := range m.Entries {
		if !slices.Contains(c.largest, e.Row.Largest) || e.Row.Status != results.OK || !c.grows(e.Row) {
			continue
		}
		if p := m.largestWithout(e, c.technique); p != nil {
			out.add(Case{e, p, Effect{Ratio: float64(dim(e.Row)) / float64(dim(p.Row))}}, false)
		}
	}
	out.conclude(false)
	return out
}

// grows is applies, for what claims to make room: any split over ranks is distributed training.
func (c claim) grows(r *results.Row) bool {
	if c.technique == results.Distributed {
		return r.Ranks > 1
	}
	return c.applies(r)
}

// dim is what a search made as large as it can be.
func dim(r *results.Row) int {
	if r.Largest == "B" {
		return r.B
	}
	return r.L
}

// largestWithout is the result of the same file's same search without the technique, if what is larger is known to have been refused there; or nil. Each rank counts as a device, so
// the cores do not matter.
func (m *Machine) largestWithout(e *Entry, t results.Technique) *Entry {
	var found *Entry
	for _, p := range m.Entries {
		if p.Row.Status == results.OK && plain[t].is(p.Row) && p != e && sameSearch(e, p, plain[t].own) && m.refused(p) {
			if found != nil {
				return nil
			}
			found = p
		}
	}
	return found
}

// refused reports whether the next larger case of a search did not fit its memory limit.
func (m *Machine) refused(e *Entry) bool {
	return slices.ContainsFunc(m.Entries, func(o *Entry) bool {
		return o.Row.Status == results.Skipped && strings.Contains(o.Row.Reason, outOfMemory) && dim(o.Row) > dim(e.Row) && sameSearch(e, o, nil)
	})
}

// outOfMemory is what every device's allocator says.
const outOfMemory = "out of device memory"

// sameSearch reports whether two rows are of searches that differ in nothing but the settings named, and what was searched for.
func sameSearch(a, b *Entry, own []string) bool {
	settings := func(r *results.Row) []compare.Setting {
		return slices.DeleteFunc(compare.Settings(r), func(s compare.Setting) bool {
			return s.Name == strings.ToLower(r.Largest) || s.Name == "model" || slices.Contains(own, s.Name)
		})
	}
	return a.File == b.File && a.Row.Largest == b.Row.Largest && slices.Equal(settings(a.Row), settings(b.Row))
}

// describe is a case in a few words.
func (c Case) describe() string {
	if c.Entry.Row.Largest == "" {
		return fmt.Sprintf("%s (%s)", c.Effect, c.Entry.Name())
	}
	return fmt.Sprintf("%s, %s=%d instead of %d (%s)", c.Effect, c.Entry.Row.Largest, dim(c.Entry.Row), dim(c.Plain.Row), c.Entry.Name())
}
