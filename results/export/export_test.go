package export

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchproc"

	"ofpeak/results"
)

// newRow is an ok row with three steps.
func newRow(words string) results.Row {
	r := results.Row{
		Schema: results.SchemaVersion, Case: words, Technique: results.Sparse, Precision: "fp32", Engine: "native", Model: "tiny", Pass: results.Train,
		C: 64, NH: 4, T: 32, L: 2, B: 4, DP: 1, TP: 1, PP: 1, Ranks: 1, Seed: 1, Host: "h", OSArch: "linux/amd64", Device: results.CPU,
		DeviceName: `a "CPU" \ of 3 GHz`, UTCTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Status: results.OK,
		SampleCount: results.Some(3), StepMedianS: results.Some(0.5), StepSamplesS: results.Samples{0.5, 0.4, 0.625},
		TokensPerStep: results.Some[int64](100), TokensPerS: results.Some(200.0), ShareMeasuredPct: results.Some(50.0), ShareMeasuredBasis: "measured",
		PeakBytesPerRank: results.Some[int64](9007199254740993), Ops: results.OpTimes{{Name: "linear", Seconds: 0.25, FLOPs: 10, Bytes: 20}},
	}
	if err := r.Validate(); err != nil {
		panic(err)
	}
	return r
}

func newFile(rows ...results.Row) []*results.File {
	f := &results.File{Path: "a.csv", Rows: rows}
	for i := range rows {
		f.Lines = append(f.Lines, i+2)
	}
	return []*results.File{f}
}

func write(t testing.TB, f Format, files []*results.File) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, f, files); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// read parses the Go benchmark format as benchstat does, and fails on any line that it does not know.
func read(t testing.TB, text string) []*benchfmt.Result {
	t.Helper()
	var out []*benchfmt.Result
	reader := benchfmt.NewReader(strings.NewReader(text), "a.txt")
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			out = append(out, rec.Clone())
		case *benchfmt.SyntaxError:
			t.Fatalf("benchfmt does not read its line %d: %v", rec.Line, rec)
		}
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBenchFmtIsWhatBenchstatReads(t *testing.T) {
	failed := newRow("technique=sparse precision=fp32 model=tiny dp=2")
	failed.Settle(results.Failed, "out of memory")
	got := read(t, write(t, BenchFmt, newFile(newRow("technique=sparse precision=fp32 model=tiny layout=2:4 microbatches=8"), failed)))
	if len(got) != 3 {
		t.Fatalf("%d results; want one for each step of the ok row", len(got))
	}
	if name := string(got[1].Name); name != "Step/technique=sparse/precision=fp32/model=tiny/layout=2:4/microbatches=8" {
		t.Errorf("name %q", name)
	}
	for unit, want := range map[string]float64{"sec/op": 0.4, "tokens/s": 250, "%peak": 62.5, "B/rank": 9007199254740993} {
		if v, ok := got[1].Value(unit); !ok || v != want {
			t.Errorf("%s: %v, %v; want %v", unit, v, ok, want)
		}
	}
	if v := got[1].GetConfig("device-name"); v != `a "CPU" \ of 3 GHz` {
		t.Errorf("device-name %q", v)
	}
	// benchstat's filter and projection find the case's fields.
	filter, err := benchproc.NewFilter(`/technique:sparse /microbatches:8 device-name:/GHz/`)
	if err != nil {
		t.Fatal(err)
	}
	if match, err := filter.Match(got[1]); err != nil || !match.All() {
		t.Errorf("the filter does not match: %v", err)
	}
}

func TestJSONLines(t *testing.T) {
	text := write(t, JSONLines, newFile(newRow("technique=sparse"), newRow("technique=sparse seed=2")))
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines; want one for each row", len(lines))
	}
	dec := json.NewDecoder(strings.NewReader(lines[0]))
	dec.UseNumber()
	var row map[string]any
	if err := dec.Decode(&row); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]any{"step_median_s": json.Number("0.5"), "peak_bytes_per_rank": json.Number("9007199254740993"), "chip": nil, "share_vendor_pct": nil,
		"utc_time": "2026-01-02T03:04:05Z", "status": "ok", "device_name": `a "CPU" \ of 3 GHz`, "line": json.Number("2"), "file": "a.csv", "seed": json.Number("1")} {
		if got, there := row[column]; !there || got != want {
			t.Errorf("%s: %v, %v; want %v", column, got, there, want)
		}
	}
	if samples, _ := row["step_samples_s"].([]any); len(samples) != 3 {
		t.Errorf("step_samples_s: %v", row["step_samples_s"])
	}
	if ops, _ := row["ops"].([]any); len(ops) != 1 || ops[0].(map[string]any)["flops"] != json.Number("10") {
		t.Errorf("ops: %v", row["ops"])
	}
	if len(row) != len(results.Columns())+2 {
		t.Errorf("%d fields; want every column, the file and the line", len(row))
	}
}

// TestOpenMetrics holds the text against the format's grammar: families in one piece, labels escaped, no sample twice, an end.
func TestOpenMetrics(t *testing.T) {
	text := write(t, OpenMetrics, newFile(newRow("technique=sparse"), newRow("technique=sparse")))
	sample := regexp.MustCompile(`^(ofpeak_[a-z0-9_]+)\{([a-z_]+="(?:[^"\\]|\\["\\n])*",?)+\} [0-9.e+-]+ [0-9]+$`)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[len(lines)-1] != "# EOF" {
		t.Errorf("ends with %q", lines[len(lines)-1])
	}
	family, seen := "", map[string]bool{}
	for _, line := range lines[:len(lines)-1] {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _ = strings.CutSuffix(rest, " gauge")
			if seen[family] {
				t.Errorf("family %s begins twice", family)
			}
			seen[family] = true
			continue
		}
		if strings.HasPrefix(line, "# HELP "+family+" ") {
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil || m[1] != family || seen[line] {
			t.Errorf("in family %s: %q", family, line)
		}
		seen[line] = true
	}
	for _, want := range []string{"ofpeak_tokens_per_s", "ofpeak_peak_bytes_per_rank", "ofpeak_share_measured_pct"} {
		if !seen[want] {
			t.Errorf("no family %s", want)
		}
	}
	for _, no := range []string{"ofpeak_share_vendor_pct", "ofpeak_reason", "ofpeak_seed"} {
		if seen[no] {
			t.Errorf("family %s, which has no result", no)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range formats {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	for _, bad := range []string{"", "csv", "Parquet", strings.Repeat("x", 1000) + "\n"} {
		if _, err := ParseFormat(bad); err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "--format") {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

// FuzzBenchFmt writes rows with hostile texts and holds that benchstat's reader finds each step again, with its value and its configuration.
func FuzzBenchFmt(f *testing.F) {
	f.Add("technique=sparse precision=fp32 model=tiny", "a CPU", "host", 0.5)
	f.Add("a/b c-8 -16", " Unit x better=higher", "Benchmark x 1 2 ns/op", 1e-300)
	f.Add("=", "#", ":", 1e300)
	f.Fuzz(func(t *testing.T, words, device, host string, step float64) {
		r := newRow("x")
		r.Case, r.DeviceName, r.Host, r.StepSamplesS, r.SampleCount = words, device, host, results.Samples{step}, results.Some(1)
		if r.Validate() != nil {
			return
		}
		text := write(t, BenchFmt, newFile(r, r))
		got := read(t, text)
		if len(got) != 2 {
			t.Fatalf("%d results; want 2 from\n%s", len(got), text)
		}
		if v, ok := got[0].Value("sec/op"); !ok || v != step {
			t.Fatalf("sec/op %v, %v; want %v", v, ok, step)
		}
		if v := got[0].GetConfig("device-name"); v != strings.TrimSpace(device) {
			t.Fatalf("device-name %q; want %q", v, device)
		}
		if strings.ContainsAny(string(got[0].Name), " \t") || !slices.Equal(got[0].Name, got[1].Name) {
			t.Fatalf("names %q and %q", got[0].Name, got[1].Name)
		}
	})
}

// TestWriteErrorsSurface uses a writer that fails.
func TestWriteErrorsSurface(t *testing.T) {
	for _, f := range formats {
		if err := Write(failing{}, f, newFile(newRow("x"))); err == nil {
			t.Errorf("%s: a failed write is no error", f)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
