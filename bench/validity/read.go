package validity

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// readStat reads the cores' lines of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice, of which the guests' ticks are in
// user's and nice's too.
func (c *Counters) readStat(root fs.FS, cores []int) {
	data, err := fs.ReadFile(root, "proc/stat")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		cells := strings.Fields(line)
		if len(cells) < 9 || !slices.ContainsFunc(cores, func(core int) bool { return cells[0] == fmt.Sprintf("cpu%d", core) }) {
			continue
		}
		var n [8]float64
		sum := 0.0
		for i, cell := range cells[1:9] {
			n[i], _ = strconv.ParseFloat(cell, 64)
			sum += n[i]
		}
		c.values[key{ticks, cells[0]}], c.values[key{stolen, cells[0]}] = sum, n[7]
		c.values[key{working, cells[0]}] = n[0] + n[1] + n[2] + n[5] + n[6]
	}
}

// readThreads reads the schedstat of each thread: ns on a core, ns ready for one, time slices. That of the process is its first thread's only.
func (c *Counters) readThreads(root fs.FS) {
	files, _ := fs.Glob(root, "proc/self/task/*/schedstat")
	for _, file := range files {
		values := numbers(root, file)
		if len(values) < 2 {
			continue
		}
		thread := path.Base(path.Dir(file))
		c.values[key{ran, thread}], c.values[key{delayed, thread}] = values[0], values[1]
	}
}

// readPressure reads "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345".
func (c *Counters) readPressure(root fs.FS) {
	data, err := fs.ReadFile(root, "proc/pressure/cpu")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(data)) {
		_, total, ok := strings.Cut(line, " total=")
		if v, err := strconv.ParseFloat(strings.TrimSpace(total), 64); ok && err == nil && strings.HasPrefix(line, "some ") {
			c.values[key{what: pressed}] = v
		}
	}
}

// readThrottles reads how often each core has throttled.
func (c *Counters) readThrottles(root fs.FS, cores []int) {
	for _, core := range cores {
		file := fmt.Sprintf("sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", core)
		if values := numbers(root, file); len(values) > 0 {
			c.values[key{throttles, fmt.Sprint(core)}] = values[0]
		}
	}
}

// readEnergy reads the counters of whole packages (Linux's power capping framework); zones within a package, as intel-rapl:0:0, are part of theirs.
func (c *Counters) readEnergy(root fs.FS) {
	zones, _ := fs.Glob(root, "sys/class/powercap/intel-rapl:*")
	for _, zone := range zones {
		name, err := fs.ReadFile(root, path.Join(zone, "name"))
		values := numbers(root, path.Join(zone, "energy_uj"))
		if strings.Count(path.Base(zone), ":") != 1 || err != nil || len(values) == 0 {
			continue
		}
		k := key{energy, strings.TrimSpace(string(name))}
		c.values[k] = values[0]
		if limit := numbers(root, path.Join(zone, "max_energy_range_uj")); len(limit) > 0 {
			c.limits[k] = limit[0]
		}
	}
}

// zones are the packages whose energy is in both readings.
func (c Counters) zones(before Counters) []string {
	var names []string
	for k := range c.values {
		if _, ok := before.values[k]; ok && k.what == energy {
			names = append(names, k.of)
		}
	}
	slices.Sort(names)
	return names
}

// numbers are those of a file with nothing else in it, or nil.
func numbers(root fs.FS, file string) []float64 {
	data, err := fs.ReadFile(root, file)
	if err != nil {
		return nil
	}
	var values []float64
	for _, cell := range strings.Fields(string(data)) {
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			return nil
		}
		values = append(values, v)
	}
	return values
}
