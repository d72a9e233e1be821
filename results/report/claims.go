package report

import (
	"fmt"
	"slices"

	"ofpeak/results"
	"ofpeak/results/stats"
)

// Verdict is what the rows say of a claim.
type Verdict string

// Verdicts. A claim is supported if most of its cases show the benefit; how many do stands in the evidence.
const (
	Supported    Verdict = "supported"
	NotSupported Verdict = "not supported"
	NotMeasured  Verdict = "not measured"
)

// Claim is a benefit that is claimed for a technique, and what one machine's rows say of it.
type Claim struct {
	Technique results.Technique
	Claimed   string
	Measure   string // what was set side by side, in words
	Machine   *Machine
	Cases     []Case // the best first
	Shown     int    // how many of them show the benefit
	Verdict   Verdict
}

// Case is a row beside the one that lacks nothing but the technique.
type Case struct {
	Entry, Plain *Entry
	Effect       Effect
}

// Effect is a quantity of the row divided by that of its partner, with the 95 % interval that the samples allow. Counted quantities have no interval.
type Effect struct {
	Ratio     float64
	Low, High results.Opt[float64]
}

// least is the difference, in parts of one, below which an effect is none; compare's threshold.
const least = 0.01

// shows reports whether the whole interval lies on the claimed side of one.
func (e Effect) shows(lower bool) bool {
	if lower {
		return e.High.Or(e.Ratio) < 1-least
	}
	return e.Low.Or(e.Ratio) > 1+least
}

// claim is a claimed benefit and how rows measure it.
type claim struct {
	technique results.Technique
	claimed   string
	measure   string
	lower     bool // the benefit is a ratio below one
	fair      hardware
	effect    func(row, plain *results.Row) (Effect, bool)
	largest   []string // searches for the largest L or B that are better evidence, where there are any
}

// What searches are for.
var depth, batch, either = []string{"L"}, []string{"B"}, []string{"L", "B"}

// claims are those of the survey that the project starts from, in its order.
var claims = []claim{
	{results.Distributed, "trains models larger than one device's memory", "memory of a rank / of one rank that has the whole model", true, sameInAll, memoryEffect, depth},
	{results.Distributed, "faster training", "tokens per second / of one such rank alone", false, samePerRank, speedEffect, nil},
	{results.ModelParallel, "deep or wide networks; overcomes one device's memory limit", "memory of a rank / of one rank that has the whole model", true, sameInAll, memoryEffect, depth},
	{results.DataParallel, "higher device utilization", "share of peak / of one rank on the same hardware", false, sameInAll, shareEffect, nil},
	{results.DataParallel, "faster", "tokens per second / of one such rank alone", false, samePerRank, speedEffect, nil},
	{results.DataParallel, "a larger batch", "memory of a rank / of one rank that has the whole batch", true, sameInAll, memoryEffect, batch},
	{results.Sparse, "much lower storage", "memory / of dense weights", true, sameInAll, memoryEffect, nil},
	{results.Sparse, "much lower compute cost", "step time / of dense weights", true, sameInAll, timeEffect, nil},
	{results.Sparse, "higher efficiency", "share of peak / of dense weights", false, sameInAll, shareEffect, nil},
	{results.MixedPrecision, "speed", "tokens per second / of fp32", false, sameInAll, speedEffect, nil},
	{results.MixedPrecision, "memory saved, so a larger batch or model", "memory / of fp32", true, sameInAll, memoryEffect, either},
	{results.MixedPrecision, "bandwidth saved", "bytes sent / of fp32", true, sameInAll, sentEffect, nil},
}

// judgeClaims judges every claim on every machine.
func (r *Report) judgeClaims() []Claim {
	var out []Claim
	for _, c := range claims {
		for _, m := range r.Machines {
			found := c.judgeLargest(m)
			if len(found.Cases) == 0 {
				found = c.judge(m)
			}
			out = append(out, found)
		}
	}
	return out
}

func (c claim) judge(m *Machine) Claim {
	out := Claim{Technique: c.technique, Claimed: c.claimed, Measure: c.measure, Machine: m, Verdict: NotMeasured}
	for _, e := range m.measured() {
		if !c.applies(e.Row) {
			continue
		}
		p := m.partner(e, c.technique, c.fair)
		if p == nil {
			continue
		}
		effect, ok := c.effect(e.Row, p.Row)
		if !ok {
			continue
		}
		out.add(Case{e, p, effect}, c.lower)
	}
	out.conclude(c.lower)
	return out
}

func (c *Claim) add(k Case, lower bool) {
	c.Cases = append(c.Cases, k)
	if k.Effect.shows(lower) {
		c.Shown++
	}
}

// conclude is the verdict of the cases.
func (c *Claim) conclude(lower bool) {
	switch {
	case len(c.Cases) == 0:
	case 2*c.Shown > len(c.Cases):
		c.Verdict = Supported
	default:
		c.Verdict = NotSupported
	}
	slices.SortStableFunc(c.Cases, func(a, b Case) int { return better(a.Effect.Ratio, b.Effect.Ratio, lower) })
}

func better(a, b float64, lower bool) int {
	switch {
	case a == b:
		return 0
	case (a < b) == lower:
		return -1
	}
	return 1
}

// applies reports whether a row uses the technique: precision and sparsity may be combined with a split, whose name the row then has.
// The claims are about training, those for sparse computation about inference too.
func (c claim) applies(r *results.Row) bool {
	switch c.technique {
	case results.Sparse:
		return r.SparseFormat != ""
	case results.MixedPrecision:
		return r.Precision != "fp32" && r.Pass == results.Train
	}
	return r.Technique == c.technique && r.Pass == results.Train
}

// Evidence is the cases in one line: how many show the benefit, the best, and the worst.
func (c Claim) Evidence() string {
	if len(c.Cases) == 0 {
		return "no row beside one that lacks only this"
	}
	best, worst := c.Cases[0], c.Cases[len(c.Cases)-1]
	s := fmt.Sprintf("%d of %d cases; best %s", c.Shown, len(c.Cases), best.describe())
	if len(c.Cases) > 1 {
		s += fmt.Sprintf(", worst %s", worst.describe())
	}
	if n := c.cautions(); n > 0 {
		s += fmt.Sprintf("; a caution applies to %d", n)
	}
	return s
}

// cautions is how many cases have a row with a caution, such as ranks that share cores.
func (c Claim) cautions() int {
	n := 0
	for _, k := range c.Cases {
		if k.Entry.Row.Largest == "" && (k.Entry.Row.Reason != "" || k.Plain.Row.Reason != "") { // memory is counted, whatever disturbed the times
			n++
		}
	}
	return n
}

func (e Effect) String() string {
	low, ok := e.Low.Get()
	if !ok {
		return times(e.Ratio)
	}
	return fmt.Sprintf("%s, 95 %% %s–%s", times(e.Ratio), digits(low, 3), digits(e.High.Or(low), 3))
}

// speedEffect divides throughputs, with the interval of compare.
func speedEffect(row, plain *results.Row) (Effect, bool) {
	if len(row.StepSamplesS) == 0 || len(plain.StepSamplesS) == 0 {
		return Effect{}, false
	}
	r := stats.Compare(plain.StepSamplesS, row.StepSamplesS)
	return Effect{r.Center, r.Low, r.High}, true
}

// timeEffect divides step times.
func timeEffect(row, plain *results.Row) (Effect, bool) { return speedEffect(plain, row) }

// shareEffect divides shares of one peak: the measured one, or else the vendor's. The interval is that of the step times.
func shareEffect(row, plain *results.Row) (Effect, bool) {
	share, ok := row.ShareMeasuredPct.Get()
	base, okBase := plain.ShareMeasuredPct.Get()
	if !ok || !okBase {
		share, ok = row.ShareVendorPct.Get()
		base, okBase = plain.ShareVendorPct.Get()
	}
	speed, timed := speedEffect(row, plain)
	if !ok || !okBase || !timed || !(base > 0) {
		return Effect{}, false
	}
	scale := share / base / speed.Ratio
	e := Effect{Ratio: share / base}
	if low, ok := speed.Low.Get(); ok {
		e.Low, e.High = results.Some(low*scale), results.Some(speed.High.Or(low)*scale)
	}
	return e, true
}

func memoryEffect(row, plain *results.Row) (Effect, bool) {
	return countedEffect(row.PeakBytesPerRank, plain.PeakBytesPerRank)
}

func sentEffect(row, plain *results.Row) (Effect, bool) {
	return countedEffect(row.CommBytes, plain.CommBytes)
}

// countedEffect divides two counts, neither zero.
func countedEffect(a, b results.Opt[int64]) (Effect, bool) {
	if a.Or(0) <= 0 || b.Or(0) <= 0 {
		return Effect{}, false
	}
	return Effect{Ratio: float64(a.Or(0)) / float64(b.Or(0))}, true
}
