package report

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"ofpeak/results"
)

// Price is what one device costs per hour of running: a GPU, or for a CPU the machine.
type Price struct {
	Device   string // chip, device name or host that it is for; "" for all others
	Currency string // CNY or USD
	PerHour  float64
	Text     string // as given
}

// hoursOfYear are those of 365.25 days.
const hoursOfYear = 24 * 365.25

var pricePattern = regexp.MustCompile(`^(?:(.+)=)?\s*(CNY|USD)\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*([0-9]+(?:\.[0-9]+)?)?\s*(h|y)$`)

// ParsePrice reads [DEVICE=]CURRENCY AMOUNT/h, the price of a device-hour, or [DEVICE=]CURRENCY AMOUNT/YEARSy, that of a device which runs so many years
// around the clock. DEVICE is a chip of the table, a device's name or a host.
func ParsePrice(s string) (Price, error) {
	m := pricePattern.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return Price{}, fmt.Errorf(`--price %q: is no price; write "CNY 12/h", "USD 1.8/h", "CNY 73900/3y" or "A100 80GB SXM=CNY 73900/3y"`, s)
	}
	amount, errAmount := strconv.ParseFloat(m[3], 64)
	span, errSpan := 1.0, error(nil)
	if m[4] != "" {
		span, errSpan = strconv.ParseFloat(m[4], 64)
	}
	hours := span
	if m[5] == "y" {
		hours *= hoursOfYear
	}
	perHour := amount / hours
	if errAmount != nil || errSpan != nil || !(perHour > 0) || math.IsInf(perHour, 0) {
		return Price{}, fmt.Errorf("--price %q: is not a price above zero for a time above zero", s)
	}
	return Price{strings.TrimSpace(m[1]), m[2], perHour, strings.TrimSpace(s)}, nil
}

// fits reports whether the price is named for the machine.
func (p Price) fits(m *Machine) bool {
	for _, name := range []string{m.Chip, m.Name, m.Host} {
		if name != "" && strings.EqualFold(name, p.Device) {
			return true
		}
	}
	return false
}

// price gives every machine the first price named for it, or the one that names none, and every row its cost.
func (r *Report) price(prices []Price) error {
	for _, p := range prices {
		used := false
		for _, m := range r.Machines {
			switch {
			case p.fits(m) && (m.Price == nil || m.Price.Device == ""), p.Device == "" && m.Price == nil:
				m.Price, used = &p, true
			}
		}
		if !used && p.Device != "" {
			return fmt.Errorf("--price %q: %q is no chip, device or host in these files; they have %s", p.Text, p.Device, strings.Join(r.names(), ", "))
		}
	}
	for _, m := range r.Machines {
		for _, e := range m.measured() {
			e.Cost = m.cost(e)
		}
	}
	return nil
}

func (r *Report) names() []string {
	var out []string
	for _, m := range r.Machines {
		for _, name := range []string{m.Chip, m.Name, m.Host} {
			if name != "" {
				out = append(out, strconv.Quote(name))
			}
		}
	}
	return out
}

// cost is that of 10^6 tokens at the row's speed.
func (m *Machine) cost(e *Entry) results.Opt[float64] {
	if m.Price == nil {
		return results.Opt[float64]{}
	}
	perSecond := m.Price.PerHour / 3600 * float64(devices(e.Row))
	return results.Finite(perSecond / e.Row.TokensPerS.Or(0) * 1e6)
}

// devices is how many devices a row used: the ranks' GPUs, or one machine of a CPU.
func devices(r *results.Row) int {
	if r.Device == results.CPU {
		return 1
	}
	return r.Ranks
}
