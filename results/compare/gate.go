package compare

import (
	"fmt"
	"strings"
)

// GateError says that a comparison must stop a pipeline.
type GateError struct {
	Slower     []Pair  // slower by more than was allowed
	Lost       []NotOK // ok in the base file and not any more
	Compared   int     // pairs
	AllowedPct float64
}

// ExitCode is the exit status of the command: 3, apart from 1 for errors.
func (e *GateError) ExitCode() int { return 3 }

func (e *GateError) Error() string {
	if e.Compared == 0 && len(e.Lost) == 0 {
		return "nothing could be compared, so nothing shows that it is not slower; see the rows that were refused"
	}
	var parts []string
	if n := len(e.Slower); n > 0 {
		parts = append(parts, fmt.Sprintf("slower by more than %g %%: %d of %d cases", e.AllowedPct, n, e.Compared))
	}
	if n := len(e.Lost); n > 0 {
		parts = append(parts, fmt.Sprintf("no longer ok: %d", n))
	}
	return strings.Join(parts, "; ")
}

// Gate returns a *GateError if a case is slower by more than allowedPct percent, which is Judge's verdict with that threshold; if a case of the base is not
// ok any more; or if nothing was compared.
func (t *Table) Gate(allowedPct float64) error {
	e := &GateError{Compared: len(t.Pairs), AllowedPct: allowedPct}
	for _, p := range t.Pairs {
		if v, _ := Judge(p.Ratio, allowedPct); v == Slower {
			e.Slower = append(e.Slower, p)
		}
	}
	for _, n := range t.NotOK {
		if n.Lost {
			e.Lost = append(e.Lost, n)
		}
	}
	if len(e.Slower) == 0 && len(e.Lost) == 0 && e.Compared > 0 {
		return nil
	}
	return e
}
