// Package report turns results files into one page that a buyer of hardware can read: what share of its peak each technique reached on each machine,
// where the rest went, and what the techniques' claims are worth. The page carries its style, its script and its figures, and fetches nothing.
//
// A figure shows what the rows hold and no more: what was not measured is left out and named. Rows whose status is not ok appear in tables only.
// docs/report.md has the rules.
package report

import (
	"cmp"
	"errors"
	"strings"

	"ofpeak/results"
	"ofpeak/results/report/figure"
)

// Options say what a report needs besides the rows.
type Options struct {
	Prices []Price
}

// Report is what the page says. It is plain data; WritePage and Figures only show it.
type Report struct {
	Files    []*results.File
	Machines []*Machine // in the order of their first rows
	Claims   []Claim
	Priced   bool // a price was given
}

// Machine is one kind of hardware on one host, with all its rows.
type Machine struct {
	Device   results.DeviceKind
	Name     string // as the device reports it
	Host     string
	Chip     string
	Imported bool   // its rows were measured elsewhere
	Letter   string // its name in tables of several machines: A, B, ...
	Entries  []*Entry
	Price    *Price
}

// Entry is a row with its place.
type Entry struct {
	Row     *results.Row
	File    int // index into Report.Files
	Line    int // in that file, from 1
	Machine *Machine
	Cost    results.Opt[float64] // of 10^6 tokens, in the price's currency
}

// Build reads the files' rows into a report.
func Build(files []*results.File, opt Options) (*Report, error) {
	r := &Report{Files: files, Priced: len(opt.Prices) > 0}
	for i, f := range files {
		for j := range f.Rows {
			e := &Entry{Row: &f.Rows[j], File: i, Line: f.Lines[j]}
			e.Machine = r.machine(e.Row)
			e.Machine.Entries = append(e.Machine.Entries, e)
		}
	}
	if len(r.Machines) == 0 {
		return nil, errors.New("the files hold no rows, so there is nothing to report")
	}
	for i, m := range r.Machines {
		m.Letter = letter(i)
	}
	if err := r.price(opt.Prices); err != nil {
		return nil, err
	}
	r.Claims = r.judgeClaims()
	return r, nil
}

// machine finds the row's machine, or adds it.
func (r *Report) machine(row *results.Row) *Machine {
	imported := row.Status == results.Imported
	for _, m := range r.Machines {
		if m.Imported == imported && m.Device == row.Device && m.Name == row.DeviceName && m.Host == row.Host && m.Chip == row.Chip {
			return m
		}
	}
	m := &Machine{Device: row.Device, Name: row.DeviceName, Host: row.Host, Chip: row.Chip, Imported: imported}
	r.Machines = append(r.Machines, m)
	return m
}

// letter names a machine in tables.
func letter(i int) string {
	s := ""
	for i++; i > 0; i = (i - 1) / 26 {
		s = string(rune('A'+(i-1)%26)) + s
	}
	return s
}

// Title is the machine in a few words.
func (m *Machine) Title() string {
	name := cmp.Or(m.Name, "unknown "+string(m.Device))
	if m.Host != "" {
		name += " (" + m.Host + ")"
	}
	if m.Imported {
		name += ", imported"
	}
	return name
}

// measured are the entries whose numbers may be shown in figures: ok rows of real devices, and imported ones.
func (m *Machine) measured() []*Entry {
	var out []*Entry
	for _, e := range m.Entries {
		if (e.Row.Status == results.OK || m.Imported) && e.Row.TokensPerS.Known() {
			out = append(out, e)
		}
	}
	return out
}

// What is the case without what stands in columns of its own.
func (e *Entry) What() string {
	return strings.Join(results.Words(e.Row.Case, "technique", "precision", "model", "seed", "device"), " ")
}

// Name is the entry in one line of a figure.
func (e *Entry) Name() string { return strings.Join(results.Words(e.Row.Case, "seed", "device"), " ") }

// Figures are all charts of the report, machine by machine.
func (r *Report) Figures() []*figure.Figure {
	var out []*figure.Figure
	for _, m := range r.Machines {
		for _, f := range []*figure.Figure{m.sharesFigure(), m.lossesFigure(), m.rooflineFigure(), m.scalingFigure(), m.memoryFigure()} {
			if f != nil {
				out = append(out, f)
			}
		}
		for _, s := range r.steps(m) {
			out = append(out, s.figure)
		}
	}
	return out
}
