package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"ofpeak/results"
	"ofpeak/results/report/figure"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS string
	//go:embed script.js
	scriptJS string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{"units": units}).Parse(pageHTML))

// units keeps a line from ending between a number and its percent sign.
func units(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") }

// section is a chapter of the page.
type section struct {
	ID, Title string
	Intro     []string
	Figures   []drawing
	Folded    []drawing // shown on demand
	Tables    []table
	Lists     []list
}

type list struct {
	Title string
	Items []string
}

// drawing is a figure ready for the page.
type drawing struct {
	Title string
	SVG   template.HTML
}

// card sums up one machine.
type card struct {
	Letter, Title, Chip string
	Facts               []fact
}

type fact struct{ Value, What string }

// WritePage writes the page.
func (r *Report) WritePage(w io.Writer) error {
	var buf bytes.Buffer
	err := page.Execute(&buf, map[string]any{
		"Title":    r.title(),
		"Style":    template.CSS(figure.CSS() + styleCSS),
		"Script":   template.JS(scriptJS),
		"Cards":    r.cards(),
		"Sections": r.sections(),
		"Files":    r.Files,
	})
	if err != nil {
		return fmt.Errorf("the page cannot be made: %w", err)
	}
	_, err = w.Write(buf.Bytes())
	return err
}

func (r *Report) title() string {
	if len(r.Machines) == 1 {
		return "Share of peak on " + r.Machines[0].Title()
	}
	return fmt.Sprintf("Share of peak on %d machines", len(r.Machines))
}

// cards sum up the machines.
func (r *Report) cards() []card {
	var out []card
	for _, m := range r.Machines {
		out = append(out, m.card())
	}
	return out
}

func (m *Machine) card() card {
	entries := m.measured()
	c := card{Letter: m.Letter, Title: m.Title(), Chip: m.Chip}
	for _, b := range known(entries) {
		best, share := group{entries: entries}.best(b)
		c.Facts = append(c.Facts, fact{percent(share), "best share of the " + b.name + " peak: " + best.Name()})
	}
	var fastest *Entry
	for _, e := range entries {
		if v, ok := e.Row.SpeedupVsBaseline.Get(); ok && e.Row.Pass == results.Train && (fastest == nil || v > fastest.Row.SpeedupVsBaseline.Or(0)) {
			fastest = e
		}
	}
	if fastest != nil {
		c.Facts = append(c.Facts, fact{times(fastest.Row.SpeedupVsBaseline.Or(0)), "fastest training over the fp32 baseline: " + fastest.Name()})
	}
	if !m.Imported {
		ok := slices.DeleteFunc(slices.Clone(m.Entries), func(e *Entry) bool { return e.Row.Status != results.OK })
		c.Facts = append(c.Facts, fact{fmt.Sprint(len(ok)), fmt.Sprintf("of %d rows are ok", len(m.Entries))})
	}
	if m.Imported {
		c.Facts = append(c.Facts, fact{"imported", "measured elsewhere and not verified: the notes name the source of each row"})
	}
	if m.Device == results.Sim {
		c.Facts = append(c.Facts, fact{"simulated", "a simulated device: its numbers are checked, its speed means nothing and is not shown"})
	}
	return c
}

// draw collects one figure of each machine, and names the machines that have none.
func (r *Report) draw(of func(*Machine) *figure.Figure, without string) (drawings []drawing, missing []string) {
	for _, m := range r.Machines {
		if f := of(m); f != nil {
			drawings = append(drawings, drawing{f.Title, template.HTML(f.SVG())})
		} else {
			missing = append(missing, m.Letter+" "+m.Title()+": "+without)
		}
	}
	return drawings, missing
}

// sections are the page's chapters in reading order.
func (r *Report) sections() []section {
	var out []section
	charts := func(id, title, intro, without string, of func(*Machine) *figure.Figure) {
		drawings, missing := r.draw(of, without)
		s := section{ID: id, Title: title, Intro: []string{intro}, Figures: drawings}
		if len(missing) > 0 {
			s.Lists = []list{{"Not shown", missing}}
		}
		out = append(out, s)
	}
	charts("shares", "Share of peak", "How much of the peak each technique reaches, in model FLOPs. The measured peak is what this device did with nothing but multiply-adds to do; the vendor's and "+
		"the survey's are published figures, whose basis a pointer on a bar shows. A basis without a published figure is left out.", "no row has a share of peak", (*Machine).sharesFigure)
	if t := r.matrixTable(); len(r.Machines) > 1 && len(t.Rows) > 0 {
		out[0].Tables = append(out[0].Tables, t)
	}
	charts("losses", "Where the rest went", "Each bar is one step: first the time that its work needs at peak speed, which is the share of peak, then where the rest of the time went. Open a row to see it part by part.",
		"no row has both a share of peak and phases", (*Machine).lossesFigure)
	for _, m := range r.Machines {
		for _, s := range r.steps(m) {
			out[len(out)-1].Folded = append(out[len(out)-1].Folded, drawing{s.summary, template.HTML(s.figure.SVG())})
		}
	}
	charts("roofline", "Roofline", "What memory and multipliers allow, and what each row and each of its operators makes of it. Both axes are relative to the peak and the memory bandwidth of the row's "+
		"own precision and cores. A spot over the slope reads from caches. Operators that do not multiply stand in a strip of their own, by their share of the bandwidth.",
		"no row was profiled beside a measured peak and a measured memory bandwidth", (*Machine).rooflineFigure)
	charts("scaling", "Scaling", "Speed on several ranks over that on one rank with as many threads. On the dashed line, ranks do not disturb each other at all.",
		"no row ran on several ranks beside the same on one", (*Machine).scalingFigure)
	charts("memory", "Memory per rank", "The most that the device's allocator had given out to a rank at once.", "no row has counted memory", (*Machine).memoryFigure)
	out = append(out, section{ID: "claims-section", Title: "Claims", Tables: []table{r.claimsTable()}, Intro: []string{
		"A claim is held against pairs of rows that differ in nothing but the technique. It counts as supported if most pairs show the benefit, with the whole 95 % interval beyond 1 %."}})
	if r.Priced {
		out = append(out, section{ID: "cost-section", Title: "Cost", Tables: []table{r.costTable()}, Lists: []list{{"Prices", r.pricesUsed()}}, Intro: []string{
			"The price of the devices for the time that a million tokens take. It holds for these small models: a token of a larger model costs more."}})
	}
	out = append(out,
		section{ID: "rows-section", Title: "All rows", Tables: []table{r.rowsTable()}, Intro: []string{"Click a heading to sort. Empty: not measured, or it does not apply."}},
		section{ID: "notes-section", Title: "Noise and validity", Tables: []table{r.notesTable()}, Lists: r.validity(), Intro: []string{
			"Only rows with status ok are in the figures. A row is ok if its numbers were held against a float64 reference within its tolerance, and no share of peak is over 100 %."}},
		section{ID: "environment-section", Title: "Environment", Tables: []table{r.environmentTable()}})
	return out
}

// pricesUsed says what each machine costs.
func (r *Report) pricesUsed() []string {
	var out []string
	for _, m := range r.Machines {
		if p := m.Price; p != nil {
			out = append(out, fmt.Sprintf("%s %s: %s, that is %s %s per device-hour", m.Letter, m.Title(), p.Text, p.Currency, digits(p.PerHour, 3)))
		} else {
			out = append(out, m.Letter+" "+m.Title()+": no price given")
		}
	}
	return out
}

// validity are the readers' warnings and the bases of the shares.
func (r *Report) validity() []list {
	var warnings, basis []string
	for _, f := range r.Files {
		warnings = append(warnings, f.Warnings...)
	}
	for _, m := range r.Machines {
		for _, b := range bases {
			for _, e := range m.measured() {
				if _, words := b.share(e.Row); words != "" && !slices.Contains(basis, m.Letter+": "+words) {
					basis = append(basis, m.Letter+": "+words)
				}
			}
		}
	}
	var out []list
	if len(warnings) > 0 {
		out = append(out, list{"Warnings from reading the files", warnings})
	}
	if len(basis) > 0 {
		out = append(out, list{"What the shares divide by", basis})
	}
	return out
}
