package results

import (
	"fmt"
	"strings"
	"testing"
)

// malformed is a results CSV with one fault, and how the error about it begins after the file's name.
type malformed struct{ fault, text, want string }

// cellFaults are values that a column cannot hold. Each stands for a kind of column; together they reach every group of columns.
var cellFaults = []struct{ column, value, want string }{
	{"schema", "", `"" is not a schema version`},
	{"schema", "1.0", `"1.0" is not a schema version`},
	{"schema", "-1", `"-1" is not a schema version`},
	{"schema", "99", "99 was made by a newer ofpeak"},
	{"case", "", "is empty"},
	{"case", "a\x00b", "holds a line break or another control character"},
	{"technique", "magic", `"magic" is unknown`},
	{"technique", "Sparse", `"Sparse" is unknown`},
	{"precision", "fp12", `"fp12" is unknown`},
	{"pass", "backward", `"backward" is unknown`},
	{"model", "a\tb", "holds a line break or another control character"},
	{"c", "0", "0 is less than 1"},
	{"c", "many", `"many" is not a number`},
	{"c", "9999999999999999999", "is not a number"},
	{"nh", "-4", "-4 is less than 1"},
	{"t", "", "is not a number"},
	{"l", "1.5", `"1.5" is not a number`},
	{"b", "0x10", `"0x10" is not a number`},
	{"vocab", "-1", "-1 is negative"},
	{"dp", "0", "0 is less than 1"},
	{"tp", "two", `"two" is not a number`},
	{"pp", "-1", "-1 is less than 1"},
	{"ranks", "0", "0 is less than 1"},
	{"threads_per_rank", "1.5", `"1.5" is not a number`},
	{"microbatches", "-8", "-8 is negative"},
	{"bucket_bytes", "4MB", `"4MB" is not a number`},
	{"sparse_density", "half", `"half" is not a number`},
	{"seed", "0.5", `"0.5" is not a number`},
	{"device", "tpu", `"tpu" is unknown`},
	{"device_name", "\xff\xfe", "holds a line break or another control character"},
	{"cores_used", "all", `"all" is not a number`},
	{"utc_time", "yesterday", `"yesterday" is not a time`},
	{"utc_time", "2026-01-31", `"2026-01-31" is not a time`},
	{"utc_time", "2026-01-31T23:59:59+02:00", "is not in UTC"},
	{"utc_time", "", `"" is not a time`},
	{"status", "fine", `"fine" is unknown`},
	{"status", "", `"" is unknown`},
	{"warmup_steps", "-1", "-1 is negative"},
	{"samples", "7", "7 does not equal the"},
	{"samples", "", "0 does not equal the"},
	{"step_median_s", "fast", `"fast" is not a number`},
	{"step_median_s", "NaN", `"NaN" is not a number`},
	{"step_median_s", "-1", "-1 is negative"},
	{"step_median_s", "", "is empty, but tokens_per_s is not"},
	{"step_median_s", "9", "9 lies outside its interval"},
	{"step_ci_low_s", "1e999", `"1e999" is not a number`},
	{"step_ci_high_s", "0,1", `"0,1" is not a number`},
	{"step_spread_pct", "5%", `"5%" is not a number`},
	{"step_samples_s", "0.25;;0.26", `"" is not a number`},
	{"step_samples_s", "0.25;0;0.26", "0 is not a time"},
	{"step_samples_s", "0.25;-1;0.26", "-1 is not a time"},
	{"tokens_per_step", "1e3", `"1e3" is not a number`},
	{"tokens_per_s", "Inf", `"Inf" is not a number`},
	{"model_flops_per_step", "-1", "-1 is negative"},
	{"tflops_per_device", "1_000", `"1_000" is not a number`},
	{"tflops_total", "0x1p-2", `"0x1p-2" is not a number`},
	{"share_measured_pct", "100.1", "is over 100 %"},
	{"share_measured_basis", "", "is empty, but the share is not"},
	{"hfu_measured_pct", "1000", "is over 100 %"},
	{"peak_bytes_per_rank", "1.5", `"1.5" is not a number`},
	{"comm_exposed_s", "none", `"none" is not a number`},
	{"forward_s", "-0.1", "-0.1 is negative"},
	{"wf_ideal_s", "x", `"x" is not a number`},
	{"ops", "linear:1:2", "is not name:seconds:FLOPs:bytes"},
	{"ops", "linear:1:2:much", `"much" is not a number`},
	{"throttle_events", "0.5", `"0.5" is not a number`},
	{"max_rel_error", "-1e-3", "-0.001 is negative"},
	{"loss_curve", "3;2;one", `"one" is not a number`},
	{"skipped_steps", "-1", "-1 is negative"},
}

// corpus is every fault of a cell, and those of the file's form.
func corpus(t *testing.T) []malformed {
	good := sample(t)
	header, line, _ := strings.Cut(good, "\n")
	var out []malformed
	for _, f := range cellFaults {
		out = append(out, malformed{fmt.Sprintf("%s=%q", f.column, f.value), with(t, good, f.column, f.value), "2: column " + f.column + ": "})
	}
	return append(out,
		malformed{"nothing", "", " holds no header"},
		malformed{"no line end", header, " holds no header"},
		malformed{"another CSV", "name,price\nx,1\n", "1: column schema: is missing"},
		malformed{"a picture", "\x89PNG\r\n\x1a\n\x00\n", "1: column schema: is missing"},
		malformed{"no case column", without(t, good, "case"), "1: column case: is missing"},
		malformed{"no step column", without(t, good, "step_median_s"), "1: column step_median_s: is missing"},
		malformed{"a column twice", strings.Replace(good, "tokens_per_s,", "comm_s,", 1), `1: column "comm_s": occurs twice`},
		malformed{"a short line", header + "\n2,x\n", "2: has more or fewer cells"},
		malformed{"a long line", header + "\n" + strings.TrimSuffix(line, "\n") + ",\n", "2: has more or fewer cells"},
		malformed{"an open quote", header + "\n\"2,x\n", "2: character"},
		malformed{"a quote inside", header + "\n2,x\"y\n", "2: character"},
		malformed{"a second line", good + strings.Replace(line, "data-parallel,", "data-sideways,", 1), "3: column technique: "},
		malformed{"a line further on", good + line + strings.Replace(line, "bf16,", "bf17,", 1), "4: column precision: "},
	)
}

// TestMalformedFiles holds that each of the corpus is refused with one line that names the file, the line and the column.
func TestMalformedFiles(t *testing.T) {
	files := corpus(t)
	if len(files) < 60 {
		t.Errorf("the corpus has %d files; want 60 or more", len(files))
	}
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.text] {
			t.Errorf("%s: the file is there twice", f.fault)
		}
		seen[f.text] = true
		file, err := Parse("a.csv", []byte(f.text))
		if err == nil {
			t.Errorf("%s: is read as %+v", f.fault, file.Rows)
			continue
		}
		if msg := err.Error(); !strings.HasPrefix(msg, "a.csv:"+f.want) || strings.Contains(msg, "\n") || len(msg) > 300 {
			t.Errorf("%s: error %q; want a.csv:%s", f.fault, msg, f.want)
		}
	}
	for _, f := range cellFaults {
		if _, err := Parse("a.csv", []byte(with(t, sample(t), f.column, f.value))); err != nil && !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s=%q: error %v; want %s", f.column, f.value, err, f.want)
		}
	}
}
