package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ofpeak/results"
)

// side is one file's rows that can be compared.
type side struct {
	file  int
	rows  []Ref
	notOK []Ref
}

// load takes the comparable rows of a file and lists the others.
func (t *Table) load(file int) side {
	s := side{file: file}
	f := t.Files[file]
	for i := range f.Rows {
		ref := Ref{file, f.Lines[i], &f.Rows[i]}
		if why := unusable(ref.Row); why != "" {
			t.NotOK = append(t.NotOK, NotOK{Ref: ref, Reason: why})
			s.notOK = append(s.notOK, ref)
			continue
		}
		s.rows = append(s.rows, ref)
	}
	return s
}

// unusable says why a row cannot be compared with any other, or is "".
func unusable(r *results.Row) string {
	switch {
	case r.Status != results.OK && r.Status != results.Imported:
		return string(r.Status) + ": " + r.Reason
	case r.Device == results.Sim:
		return "ran on a simulated device, which has no speed"
	case !r.TokensPerS.Known() || len(samples(r)) == 0:
		return "has no throughput or no samples"
	}
	return ""
}

// match pairs the rows of another file with those of the base.
func (t *Table) match(base, other side) {
	m := matcher{t, base, other, map[Ref]bool{}}
	m.refuseDuplicates()
	m.pairEqual(false)
	m.pairEqual(true)
	m.markLost()
	m.refuseRest()
}

type matcher struct {
	*Table
	base, other side
	done        map[Ref]bool // rows of either side that are paired or refused
}

// open are the rows that still want a partner, by key.
func (m *matcher) open(s side, loose bool) map[string][]Ref {
	rows := map[string][]Ref{}
	for _, r := range s.rows {
		if !m.done[r] {
			k := key(r.Row, loose)
			rows[k] = append(rows[k], r)
		}
	}
	return rows
}

func (m *matcher) refuse(r Ref, with side, format string, args ...any) {
	m.done[r] = true
	m.Refused = append(m.Refused, Refusal{r, with.file, fmt.Sprintf(format, args...)})
}

// refuseDuplicates refuses cases that one of the files has twice: which one counts is not for us to choose.
func (m *matcher) refuseDuplicates() {
	base, other := m.open(m.base, false), m.open(m.other, false)
	for _, s := range []struct {
		these, with side
		own, their  map[string][]Ref
	}{{m.base, m.other, base, other}, {m.other, m.base, other, base}} {
		for _, r := range s.these.rows {
			k := key(r.Row, false)
			if own := s.own[k]; len(own) > 1 {
				m.refuse(r, s.with, "the file has this case on lines %s; keep one", lines(own))
			} else if their := s.their[k]; len(their) > 1 {
				m.refuse(r, s.with, "the other file has this case on lines %s; keep one", lines(their))
			}
		}
	}
}

func lines(refs []Ref) string {
	parts := make([]string, len(refs))
	for i, r := range refs {
		parts[i] = fmt.Sprint(r.Line)
	}
	return strings.Join(parts, ", ")
}

// pairEqual pairs rows of equal settings. If loose, the threads per rank may differ between different hardware, as long as the partner is the only one.
func (m *matcher) pairEqual(loose bool) {
	bases, others := m.open(m.base, loose), m.open(m.other, loose)
	for _, b := range m.base.rows {
		k := key(b.Row, loose)
		if m.done[b] || len(bases[k]) != 1 || len(others[k]) != 1 {
			continue
		}
		o := others[k][0]
		if loose && sameHardware(b.Row, o.Row) {
			continue
		}
		if why := forbidden(b.Row, o.Row); why != "" {
			m.refuse(b, m.other, "same case on line %d, but %s", o.Line, why)
			m.done[o] = true
			continue
		}
		m.done[b], m.done[o] = true, true
		m.compare(b, o, notes(b.Row, o.Row))
	}
}

// forbidden says why rows of equal settings must not be compared, or is "".
func forbidden(a, b *results.Row) string {
	work := []struct{ name, a, b string }{
		{"flops_formula", a.FLOPsFormula, b.FLOPsFormula},
		{"model_flops_per_step", a.ModelFLOPsPerStep.String(), b.ModelFLOPsPerStep.String()},
		{"tokens_per_step", a.TokensPerStep.String(), b.TokensPerStep.String()},
	}
	for _, w := range work {
		if w.a != w.b {
			return fmt.Sprintf("%s differs: %s, %s", w.name, orNone(w.a), orNone(w.b))
		}
	}
	return ""
}

// notes are the differences that explain a ratio without forbidding it, and what each row warns of.
func notes(a, b *results.Row) []string {
	out := differences(a, b) // none but threads can be left
	if a.Schema != b.Schema {
		out = append(out, fmt.Sprintf("schema: %d, %d", a.Schema, b.Schema))
	}
	if a.VariantsUsed != b.VariantsUsed {
		out = append(out, fmt.Sprintf("variants: %s, %s", orNone(a.VariantsUsed), orNone(b.VariantsUsed)))
	}
	if a.Graphs != b.Graphs {
		out = append(out, fmt.Sprintf("graphs: %s, %s", orNone(a.Graphs), orNone(b.Graphs)))
	}
	out = append(out, caution("base", a)...)
	return append(out, caution("other", b)...)
}

// caution is what a row warns of: a reason to beware, or where it was imported from.
func caution(which string, r *results.Row) []string {
	switch {
	case r.Reason == "":
		return nil
	case r.Status == results.Imported:
		return []string{which + ": imported, not verified: " + r.Reason}
	}
	return []string{which + ": " + r.Reason}
}

// samples are the row's step times; of an imported row without them the one time that is known, which gives a ratio and never a verdict.
func samples(r *results.Row) []float64 {
	if median, ok := r.StepMedianS.Get(); len(r.StepSamplesS) == 0 && r.Status == results.Imported && ok {
		return []float64{median}
	}
	return r.StepSamplesS
}

// markLost finds the base rows whose case is in the other file, but not ok there: that they lack a partner is said by the NotOK row.
func (m *matcher) markLost() {
	failed := map[string]Ref{}
	for _, r := range m.other.notOK {
		failed[key(r.Row, false)] = r
	}
	for _, b := range m.base.rows {
		r, found := failed[key(b.Row, false)]
		if m.done[b] || !found {
			continue
		}
		m.done[b] = true
		i := slices.IndexFunc(m.NotOK, func(n NotOK) bool { return n.Ref == r })
		m.NotOK[i].Lost = true
	}
}

// refuseRest says of every row that is left what keeps it from its nearest relative, or that there is none. The relative need not say it again.
func (m *matcher) refuseRest() {
	for _, s := range []struct{ these, those side }{{m.base, m.other}, {m.other, m.base}} {
		for _, r := range s.these.rows {
			if m.done[r] {
				continue
			}
			if i := slices.IndexFunc(s.those.notOK, func(o Ref) bool { return key(o.Row, false) == key(r.Row, false) }); i >= 0 {
				m.refuse(r, s.those, "the case is not ok there, on line %d", s.those.notOK[i].Line)
			} else if near, diff := nearest(r, s.those.rows); diff != nil {
				m.refuse(r, s.those, "no such case; the nearest, on line %d, differs in %s", near.Line, strings.Join(diff, "; "))
				m.done[near] = true
			} else {
				m.refuse(r, s.those, "no such case")
			}
		}
	}
}

// nearest finds the row of the same technique, precision and model with the fewest different settings.
func nearest(r Ref, rows []Ref) (best Ref, diff []string) {
	for _, o := range rows {
		a, b := r.Row, o.Row
		if a.Technique != b.Technique || a.Precision != b.Precision || a.Model != b.Model {
			continue
		}
		if d := differences(a, b); len(d) > 0 && (diff == nil || len(d) < len(diff)) {
			best, diff = o, d
		}
	}
	return best, diff
}

// sortPairs orders by base row, then by file.
func (t *Table) sortPairs() {
	slices.SortStableFunc(t.Pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.Base.Line, b.Base.Line), cmp.Compare(a.Other.File, b.Other.File))
	})
}
