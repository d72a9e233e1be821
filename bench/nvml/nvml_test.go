package nvml

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"ofpeak/results"
)

var (
	some  = results.Some[float64]
	bytes = results.Some[int64]
)

// script is a GPU whose state is the next at each reading, and the last one for good.
type script []State

func (s *script) Read() State {
	state := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return state
}

// watched is what readings come to that begin at once, follow every period, and end with the last.
func watched(t *testing.T, states ...State) Summary {
	t.Helper()
	var sum Summary
	synctest.Test(t, func(t *testing.T) {
		s := script(states)
		stop := Watch(&s)
		time.Sleep(time.Duration(len(states)-1)*period - period/2)
		sum = stop()
		if len(s) != 1 {
			t.Errorf("%d readings of %d are left", len(s)-1, len(states))
		}
		if again := stop(); again != sum {
			t.Errorf("asked again: %+v, then %+v", sum, again)
		}
	})
	return sum
}

func near(a, b results.Opt[float64]) bool {
	return a.Known() == b.Known() && math.Abs(a.Or(0)-b.Or(0)) <= 1e-9*math.Abs(b.Or(0))
}

func TestAClockThatDropsIsSeen(t *testing.T) {
	at := func(mhz, watts, celsius, joules float64, memory int64, reasons uint64) State {
		return State{some(mhz), some(1980), some(watts), some(celsius), bytes(memory), some(joules), SlowedBy(reasons)}
	}
	sum := watched(t,
		at(210, 70, 30, 1000, 1, 0x1), // before it begins: its energy counts, its clock does not
		at(1980, 500, 50, 1040, 5, 0),
		at(345, 300, 51, 1050, 9, 0x1), // without work
		at(1800, 700, 88, 1100, 7, 0x4),
		at(1200, 650, 86, 1160, 7, 0x40),
		at(1620, 600, 80, 1175.5, 7, 0),
	)
	for what, v := range map[string]struct{ got, want results.Opt[float64] }{
		"clock": {sum.ClockMHz, some(1650)}, "least clock": {sum.LeastClockMHz, some(1200)}, "greatest clock": {sum.MaxClockMHz, some(1980)},
		"power": {sum.PowerW, some(550)}, "temperature": {sum.TemperatureC, some(88)}, "energy": {sum.EnergyJ, some(175.5)},
	} {
		if !near(v.got, v.want) {
			t.Errorf("%s is %v, want %v", what, v.got, v.want)
		}
	}
	if sum.EnergyBasis != Counted || sum.MemoryBytes != bytes(9) || sum.Slowed.String() != "sw_power_cap;hw_thermal_slowdown" {
		t.Errorf("energy by %q, %v bytes, slowed by %q", sum.EnergyBasis, sum.MemoryBytes, sum.Slowed)
	}
	want := []string{"the GPU's clock was held down by sw_power_cap, hw_thermal_slowdown (to 1200 of 1980 MHz)"}
	if got := sum.Cautions(); !slices.Equal(got, want) {
		t.Errorf("cautions %q, want %q", got, want)
	}
}

// What is measured in less than a period is read at its end.
func TestAShortTimeHasAReading(t *testing.T) {
	sum := watched(t, State{PowerW: some(100)}, State{PowerW: some(400), ClockMHz: some(1500)})
	if sum.PowerW != some(400) || sum.ClockMHz != some(1500) || sum.LeastClockMHz != some(1500) {
		t.Errorf("got %+v", sum)
	}
}

func TestMissingReadings(t *testing.T) {
	if sum := watched(t, State{}, State{}, State{}); sum != (Summary{}) || sum.Slowed.String() != "" || sum.Cautions() != nil {
		t.Errorf("of nothing: %+v", sum)
	}
	sum := watched(t, State{}, State{PowerW: some(200)}, State{TemperatureC: some(40)}, State{PowerW: some(300), Slowed: SlowedBy(0)})
	if sum.PowerW != some(250) || sum.TemperatureC != some(40) || sum.Slowed.String() != "none" || sum.ClockMHz.Known() || sum.MemoryBytes.Known() {
		t.Errorf("of some: %+v", sum)
	}
}

// Without a counter, or with one that says nothing, the energy is that of the mean power.
func TestEnergyFromPower(t *testing.T) {
	for name, counter := range map[string][2]results.Opt[float64]{
		"none": {}, "not at first": {{}, some(5)}, "not at last": {some(5), {}}, "not renewed": {some(5), some(5)}, "begun anew": {some(9), some(5)},
	} {
		first, last := State{EnergyJ: counter[0]}, State{PowerW: some(300), EnergyJ: counter[1]}
		sum := watched(t, first, State{PowerW: some(100)}, last)
		if !near(sum.EnergyJ, some(200*0.15)) || sum.EnergyBasis != FromPower {
			t.Errorf("%s: %v J by %q", name, sum.EnergyJ, sum.EnergyBasis)
		}
	}
}

func TestJoin(t *testing.T) {
	a := Summary{some(1900), some(1800), some(1980), some(500), some(60), bytes(7), some(30), Counted, SlowedBy(0x4)}
	b := Summary{some(1700), some(1200), some(1980), some(700), some(80), bytes(5), some(40), FromPower, SlowedBy(0x20)}
	for name, test := range map[string]struct {
		gpus []Summary
		want Summary
	}{
		"none": {},
		"one":  {[]Summary{a}, a},
		"two":  {[]Summary{b, a}, Summary{some(1800), some(1200), some(1980), some(600), some(80), bytes(7), some(70), "NVML energy+NVML power", SlowedBy(0x24)}},
		// Half of the energy is not that of the case.
		"one unknown": {[]Summary{{}, a}, Summary{some(1900), some(1800), some(1980), some(500), some(60), bytes(7), results.Opt[float64]{}, "", SlowedBy(0x4)}},
	} {
		if got := Join(test.gpus); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestReasonsHaveNames(t *testing.T) {
	for bits, want := range map[uint64]string{
		0: "none", 1: "none", 0x7fe: "applications_clocks_setting;sw_power_cap;hw_slowdown;sync_boost;sw_thermal_slowdown;hw_thermal_slowdown;" +
			"hw_power_brake_slowdown;display_clock_setting;board_limit;reliability", 1 << 63: "reason_63",
	} {
		if got := SlowedBy(bits).String(); got != want {
			t.Errorf("%#x: %q, want %q", bits, got, want)
		}
	}
	quiet := Summary{Slowed: SlowedBy(1), LeastClockMHz: some(1), MaxClockMHz: some(2)}
	if got := quiet.Cautions(); got != nil {
		t.Errorf("an idle GPU: %q", got)
	}
	if got := (Summary{Slowed: SlowedBy(8)}).Cautions(); !slices.Equal(got, []string{"the GPU's clock was held down by hw_slowdown"}) {
		t.Errorf("without clocks: %q", got)
	}
}

func TestSummariesGoToOtherProcesses(t *testing.T) {
	for _, want := range []Summary{{}, {ClockMHz: results.Some(1234.5678901234567), LeastClockMHz: results.Some(1.0), MaxClockMHz: results.Some(1980.0), PowerW: results.Some(699.25),
		TemperatureC: results.Some(0.0), MemoryBytes: results.Some[int64](1 << 60), EnergyJ: results.Some(1e-9), EnergyBasis: Counted, Slowed: SlowedBy(0x8000000000000004)}} {
		b, err := want.MarshalBinary()
		var got Summary
		if err == nil {
			err = got.UnmarshalBinary(b)
		}
		if err != nil || got != want {
			t.Errorf("%s became %+v, %v", b, got, err)
		}
	}
}
