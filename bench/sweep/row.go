package sweep

import (
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/results"
)

// Environment is what all rows of a run share.
type Environment struct {
	Commit, ToolVersion, Host, OSArch, GoVersion, LibraryVersions string
}

// computing are the modules whose version can change a number.
var computing = []string{"gorgonia.org/cu", "gorgonia.org/gorgonia", "gorgonia.org/tensor", "gonum.org/v1/gonum"}

// ThisEnvironment is that of the running process.
func ThisEnvironment() Environment {
	host, _ := os.Hostname() // unknown: empty
	e := Environment{Host: host, OSArch: runtime.GOOS + "/" + runtime.GOARCH, GoVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return e
	}
	e.Commit = Commit(info)
	e.ToolVersion = release(info.Main.Version)
	var libraries []string
	for _, m := range info.Deps {
		if slices.Contains(computing, m.Path) {
			libraries = append(libraries, m.Path+"="+m.Version)
		}
	}
	e.LibraryVersions = strings.Join(libraries, ";")
	return e
}

// release is a tagged version, or "" for one that Go made up of a commit (v0.0.0-time-hash) or had none.
func release(version string) string {
	if version = strings.TrimSuffix(version, "+dirty"); version == "(devel)" || strings.Count(version, "-") >= 2 {
		return ""
	}
	return version
}

// Commit is the commit that a binary was built from, with "+" if its tree had changes, or "" if built outside a repository.
func Commit(info *debug.BuildInfo) string {
	var commit, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}

func join(libraries ...string) string {
	return strings.Join(slices.DeleteFunc(libraries, func(s string) bool { return s == "" }), ";")
}

// NewRow is a row with the identity of its case and the environment it runs in.
func NewRow(c workload.Case, m Machine, e Environment, now time.Time) results.Row {
	row := results.Row{
		Schema: results.SchemaVersion, Case: c.String(), Technique: results.Technique(c.Technique),
		Precision: results.Precision(c.Precision), Engine: c.Engine, Model: c.Model.Name, Pass: results.Pass(c.Pass),
		C: c.Model.C, NH: c.Model.NH, T: c.Model.T, L: c.Model.L, B: c.Model.B,
		DP: c.DP, TP: c.TP, PP: c.PP, Ranks: c.World(), Schedule: c.Schedule, Variants: c.ISA, Seed: c.Seed,
		Commit: e.Commit, ToolVersion: e.ToolVersion, Host: e.Host, OSArch: e.OSArch, Device: m.Device, DeviceName: m.Name, Chip: m.Chip,
		GoVersion: e.GoVersion, LibraryVersions: join(e.LibraryVersions, m.Libraries), UTCTime: now.UTC().Truncate(time.Second),
	}
	if row.Model == "" {
		row.Model = "custom"
	}
	if c.Model.V > 0 {
		row.Vocab = results.Some(c.Model.V)
	}
	if m.Device == results.CPU {
		threads := c.RankThreads(m.Cores)
		row.ThreadsPerRank = results.Some(threads)
		row.CoresUsed = results.Some(min(m.Cores, threads*c.World()))
	}
	if c.Sequence {
		row.SequenceParallel = "on"
	}
	if c.Overlap != workload.Auto {
		row.Overlap = c.Overlap
	}
	if c.EP > 1 {
		row.EP = results.Some(c.EP)
	}
	if c.CP > 1 {
		row.CP = results.Some(c.CP)
	}
	if c.PP > 1 && c.Cut != workload.ByCost {
		row.Cut = c.Cut
	}
	if c.Experts != (workload.Experts{}) {
		row.Experts = c.Experts.String()
	}
	if c.Memory > 0 {
		row.MemoryLimitBytes = results.Some(int64(c.Memory))
	}
	if c.Chunks > 1 {
		row.Chunks = results.Some(c.Chunks)
	}
	if c.PP > 1 || c.Microbatches > 1 {
		row.Microbatches = results.Some(c.Microbatches)
	}
	if c.Replicas() > 1 {
		row.BucketBytes, row.ZeRO = results.Some(int64(c.BucketBytes)), results.Some(c.ZeRO)
	}
	if c.Pass == workload.Train {
		row.Recompute = c.Recompute
	}
	if c.Layout.Format != kernels.Dense {
		row.SparseFormat, _, _ = strings.Cut(workload.LayoutString(c.Layout), "@")
		row.SparseDensity = results.Finite(c.Density()) // a block wider than the matrix has none
	}
	return row
}
