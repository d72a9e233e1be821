package report

import (
	"fmt"
	"math"
	"strconv"

	"ofpeak/results"
)

// show formats a number that may be missing; a missing one is nothing.
func show(v results.Opt[float64], how func(float64) string) string {
	if x, ok := v.Get(); ok {
		return how(x)
	}
	return ""
}

// percent has a decimal, and two digits of a small share: it is not none.
func percent(v float64) string {
	if math.Abs(v) < 1 && v != 0 {
		return digits(v, 2) + " %"
	}
	return fmt.Sprintf("%.1f %%", v)
}

func times(v float64) string { return digits(v, 3) + "×" }

// digits rounds to n digits, or to a whole number if it has more before the point.
func digits(v float64, n int) string {
	if v == 0 {
		return "0"
	}
	decimals := max(0, n-1-int(math.Floor(math.Log10(math.Abs(v)))))
	return strconv.FormatFloat(v, 'f', min(decimals, 12), 64)
}

// unit is a unit's name and size.
type unit struct {
	name string
	size float64
}

// duration has three digits and a unit.
func duration(seconds float64) string {
	return scaled(seconds, []unit{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}})
}

// size has three digits and a decimal unit.
func size(bytes float64) string {
	return scaled(bytes, []unit{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}})
}

// scaled takes the largest unit that fits; units fall.
func scaled(v float64, units []unit) string {
	u := units[len(units)-1]
	for _, larger := range units {
		if v >= larger.size {
			u = larger
			break
		}
	}
	return digits(v/u.size, 3) + " " + u.name
}

// optional is an integer as a number that may be missing.
func optional[T int | int64](v results.Opt[T]) results.Opt[float64] {
	x, ok := v.Get()
	if !ok {
		return results.Opt[float64]{}
	}
	return results.Some(float64(x))
}
