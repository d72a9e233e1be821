package results

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Opt is a number that may be missing; the zero value is missing. In a CSV a missing number is an empty cell.
type Opt[T int | int64 | float64] struct {
	value T
	known bool
}

// Some returns the known number v.
func Some[T int | int64 | float64](v T) Opt[T] { return Opt[T]{v, true} }

// Finite returns v, or a missing number if v is NaN or infinite: a result that overflowed is no number to compare.
func Finite(v float64) Opt[float64] {
	if !isFinite(v) {
		return Opt[float64]{}
	}
	return Some(v)
}

// Get returns the number and whether it is known.
func (o Opt[T]) Get() (T, bool) { return o.value, o.known }

// Or returns the number, or missing where there is none.
func (o Opt[T]) Or(missing T) T {
	if o.known {
		return o.value
	}
	return missing
}

// Known reports whether there is a number.
func (o Opt[T]) Known() bool { return o.known }

// String is the number with the fewest digits that read back as the same value, or "".
func (o Opt[T]) String() string {
	if !o.known {
		return ""
	}
	switch v := any(o.value).(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// MarshalText writes String.
func (o Opt[T]) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (o *Opt[T]) UnmarshalText(text []byte) error {
	*o = Opt[T]{}
	if len(text) == 0 {
		return nil
	}
	var err error
	switch p := any(&o.value).(type) {
	case *float64:
		*p, err = parseFloat(string(text))
	case *int64:
		*p, err = strconv.ParseInt(string(text), 10, 64)
	case *int:
		*p, err = strconv.Atoi(string(text))
	}
	if err != nil {
		o.value = 0
		return badNumber(text)
	}
	o.known = true
	return nil
}

// Samples are the measured step times in seconds, in the order in which they were taken; in a CSV they are joined by ';'.
type Samples []float64

// String joins the samples.
func (s Samples) String() string {
	parts := make([]string, len(s))
	for i, v := range s {
		parts[i] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	return strings.Join(parts, ";")
}

// MarshalText writes String.
func (s Samples) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Samples) UnmarshalText(text []byte) error {
	*s = nil
	if len(text) == 0 {
		return nil
	}
	for _, part := range strings.Split(string(text), ";") {
		v, err := parseFloat(part)
		if err != nil {
			*s = nil
			return badNumber([]byte(part))
		}
		*s = append(*s, v)
	}
	return nil
}

// parseFloat reads a finite decimal number, and none of the other forms of Go's source text.
func parseFloat(text string) (float64, error) {
	if strings.ContainsAny(text, "_xX") {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && !isFinite(v) {
		err = strconv.ErrRange
	}
	return v, err
}

func badNumber(text []byte) error { return errors.New(quote(string(text)) + " is not a number") }

// quote cuts hostile values short, so that an error stays one readable line.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
