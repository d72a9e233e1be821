package export

import (
	"io"
	"regexp"
	"strings"

	"golang.org/x/perf/benchfmt"

	"ofpeak/results"
)

// writeBenchFmt writes each step of each row that is ok as one result, so that benchstat sees the samples. The case's fields are the parts of the name, which
// benchstat's filters and projections know as /precision, /dp and so on; the environment is the configuration.
func writeBenchFmt(w io.Writer, files []*results.File) error {
	out := benchfmt.NewWriter(w)
	for _, u := range units {
		if err := out.Write(&u); err != nil {
			return err
		}
	}
	for _, f := range files {
		for i := range f.Rows {
			if err := writeSteps(out, &f.Rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// units say which way is better; benchstat knows sec/op.
var units = []benchfmt.UnitMetadata{
	{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: "tokens/s", Key: "better"}, OrigUnit: "tokens/s", Value: "higher"},
	{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: "%peak", Key: "better"}, OrigUnit: "%peak", Value: "higher"},
}

func writeSteps(out *benchfmt.Writer, r *results.Row) error {
	if r.Status != results.OK {
		return nil
	}
	median := r.StepMedianS.Or(0)
	for _, step := range r.StepSamplesS {
		result := benchfmt.Result{Config: configuration(r), Name: benchfmt.Name(name(r)), Iters: 1}
		add := func(v float64, unit string) {
			result.Values = append(result.Values, benchfmt.Value{Value: v, Unit: unit})
		}
		add(step, "sec/op")
		if tokens, ok := r.TokensPerStep.Get(); ok {
			add(float64(tokens)/step, "tokens/s")
		}
		if share, ok := r.ShareMeasuredPct.Get(); ok && median > 0 {
			add(share*median/step, "%peak")
		}
		if bytes, ok := r.PeakBytesPerRank.Get(); ok {
			add(float64(bytes), "B/rank")
		}
		if err := out.Write(&result); err != nil {
			return err
		}
	}
	return nil
}

// unfit are the characters that end a name or split its parts, and processors is what benchstat would take for GOMAXPROCS.
var (
	unfit      = regexp.MustCompile(`[\s/]+`)
	processors = regexp.MustCompile(`-\d+$`)
)

// name has a part for each field of the case, as in Step/technique=sparse/precision=fp32.
func name(r *results.Row) string {
	parts := []string{"Step"}
	for word := range strings.FieldsSeq(r.Case) {
		parts = append(parts, unfit.ReplaceAllString(word, "_"))
	}
	s := strings.Join(parts, "/")
	if processors.MatchString(s) {
		s += "_"
	}
	return s
}

// configuration is where the row comes from. An empty value would delete the key.
func configuration(r *results.Row) []benchfmt.Config {
	var out []benchfmt.Config
	for _, c := range []struct{ key, value string }{
		{"host", r.Host}, {"os-arch", r.OSArch}, {"device", string(r.Device)}, {"device-name", r.DeviceName}, {"chip", r.Chip}, {"commit", r.Commit},
	} {
		if v := strings.TrimSpace(c.value); v != "" {
			out = append(out, benchfmt.Config{Key: c.key, Value: []byte(v), File: true})
		}
	}
	return out
}
