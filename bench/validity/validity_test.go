package validity

import (
	"io/fs"
	"math"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"ofpeak/results"
)

// quiet is a system at one moment, busy the same ten seconds later.
var (
	quiet = files(map[string]string{
		"proc/stat":                  "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 0 50 800 10 0 5 35 7 0\ncpu1 100 0 50 800 10 0 5 35 0 0\ncpu10 5 0 0 0 0 0 0 0 0 0\nintr 5\n",
		"proc/self/task/7/schedstat": "1000000 200000 12\n",
		"proc/self/task/8/schedstat": "3000000 0 9\n",
		"proc/pressure/cpu":          "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=77\n",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
		"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4\n",
		"sys/class/powercap/intel-rapl:0/name":                             "package-0\n",
		"sys/class/powercap/intel-rapl:0/energy_uj":                        "999000000\n",
		"sys/class/powercap/intel-rapl:0/max_energy_range_uj":              "1000000000\n",
		"sys/class/powercap/intel-rapl:0:0/name":                           "core\n",
		"sys/class/powercap/intel-rapl:0:0/energy_uj":                      "5\n",
		"sys/class/powercap/intel-rapl:1/name":                             "package-1\n",
		"sys/class/powercap/intel-rapl:1/energy_uj":                        "1000000\n",
	})
	busy = files(map[string]string{
		"proc/stat":                  "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 600 0 50 1200 10 0 5 135 900 0\ncpu1 600 0 50 1300 10 0 5 35 0 0\ncpu10 900 0 0 0 0 0 0 900 0 0\nintr 6\n",
		"proc/self/task/7/schedstat": "5000000 700000 30\n",
		"proc/self/task/9/schedstat": "8000000 9000000 30\n", // began in between, as 8 ended
		"proc/pressure/cpu":          "some avg10=9.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99\n",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "5\n",
		"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4\n",
		"sys/class/powercap/intel-rapl:0/name":                             "package-0\n",
		"sys/class/powercap/intel-rapl:0/energy_uj":                        "4000000\n", // started from zero again
		"sys/class/powercap/intel-rapl:0/max_energy_range_uj":              "1000000000\n",
		"sys/class/powercap/intel-rapl:0:0/name":                           "core\n",
		"sys/class/powercap/intel-rapl:0:0/energy_uj":                      "9\n",
		"sys/class/powercap/intel-rapl:1/name":                             "package-1\n",
		"sys/class/powercap/intel-rapl:1/energy_uj":                        "3500000\n",
	})
)

func files(text map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range text {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return fsys
}

func TestSince(t *testing.T) {
	before, after := Read(quiet, []int{0, 1}), Read(busy, []int{0, 1})
	after.at = before.at.Add(10 * time.Second)
	after.values[key{what: used}] = before.values[key{what: used}] + 4e9
	r := after.Since(before)
	for what, v := range map[string]struct {
		got  results.Opt[float64]
		want float64
	}{
		"steal":     {r.StealPct, 5},       // 100 of 2000 ticks
		"others":    {r.OthersPct, 30},     // 1000 of 2000 ticks, less 4 of 20 s
		"run delay": {r.RunDelayPct, 12.5}, // 0.5 of 4 ms, of the thread that is there both times
		"pressure":  {r.PressurePct, 20},   // 2 of 10 s
		"energy":    {r.EnergyJ, 7.5},      // 5 J past the limit, and 2.5
	} {
		if got, ok := v.got.Get(); !ok || math.Abs(got-v.want) > 1e-9 {
			t.Errorf("%s is %v, want %g", what, v.got, v.want)
		}
	}
	if r.ThrottleEvents.Or(-1) != 2 || r.EnergyBasis != "RAPL package-0+package-1" {
		t.Errorf("%v throttle events, energy of %q", r.ThrottleEvents, r.EnergyBasis)
	}
	one := Read(busy, []int{1}).Since(Read(quiet, []int{1}))
	if one.StealPct.Or(-1) != 0 || one.ThrottleEvents.Or(-1) != 0 {
		t.Errorf("of core 1 alone: %+v", one)
	}
}

// What the system does not count, or in no form that is known, is empty.
func TestUnknown(t *testing.T) {
	for name, fsys := range map[string]fs.FS{
		"empty": fstest.MapFS{},
		"nonsense": files(map[string]string{
			"proc/stat": "cpu0 x\ncpu0\n\x00", "proc/self/task/1/schedstat": "many", "proc/pressure/cpu": "some total=\nfull total=3\nsome x",
			"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "", "sys/class/powercap/intel-rapl:0/energy_uj": "-",
			"sys/class/powercap/intel-rapl:0/name": "package-0",
		}),
	} {
		r := Read(fsys, []int{0}).Since(Read(fsys, []int{0}))
		r.InvoluntarySwitches = results.Opt[int64]{} // this process's own
		if r != (Report{}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// This machine's own counters can be read and make sense.
func TestHere(t *testing.T) {
	root := os.DirFS("/")
	before := Read(root, []int{0})
	for begin := time.Now(); time.Since(begin) < 30*time.Millisecond; {
	}
	r := Read(root, []int{0}).Since(before)
	for what, v := range map[string]results.Opt[float64]{"steal": r.StealPct, "pressure": r.PressurePct, "others": r.OthersPct} {
		if v.Or(0) < 0 || v.Or(0) > 110 {
			t.Errorf("%s is %v %%", what, v)
		}
	}
	if _, err := os.Stat("/proc/self/schedstat"); err == nil && !r.RunDelayPct.Known() {
		t.Error("the run delay is not known")
	}
	if !r.InvoluntarySwitches.Known() {
		t.Error("the involuntary switches are not known")
	}
}

func TestCautions(t *testing.T) {
	some := results.Some[float64]
	for what, test := range map[string]struct {
		r              Report
		clock, change  results.Opt[float64]
		oversubscribed bool
		want           []string
	}{
		"nothing known": {},
		"quiet":         {r: Report{StealPct: some(1.9), OthersPct: some(4.9), RunDelayPct: some(40), ThrottleEvents: results.Some[int64](0), PressurePct: some(99)}, clock: some(0.98), change: some(2.9)},
		"all": {Report{StealPct: some(7.3), OthersPct: some(12.4), RunDelayPct: some(40), ThrottleEvents: results.Some[int64](3)}, some(0.9), some(8), false, []string{
			"the hypervisor gave 7 % of the cores' time to others",
			"other processes used 12 % of the cores' time",
			"the cores throttled for heat 3 times",
			"the clock was 10 % below that of the peak's measurement",
			"the clock changed by 8 % while the case was stepped",
		}},
		"of several processes":   {r: Report{RunDelayPct: some(8)}, want: []string{"threads stood ready without a core for 8 % of the time that they ran"}},
		"waiting for each other": {r: Report{RunDelayPct: some(90)}, oversubscribed: true},
		"faster clock":           {clock: some(1.2)},
	} {
		if got := test.r.Cautions(test.clock, test.change, test.oversubscribed); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
}
