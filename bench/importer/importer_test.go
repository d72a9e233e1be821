package importer

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/chips"
	"ofpeak/results/compare"
)

const header = "case,device_name,source,utc_time,step_median_s,step_samples_s,chip,host\n"

const goodLine = `technique=mixed-precision precision=fp16 model=gpt2,"Ascend 910, a card",lab log of May,2026-05-01T10:00:00Z,0.01,,Ascend 910,lab` + "\n"

func TestParse(t *testing.T) {
	sampled := "precision=bf16 model=gpt2 dp=2,Other card,https://example.org/run,2026-05-01T10:00:00Z,,0.5;0.25;0.75,,\n"
	rows, err := Parse("a.csv", []byte("\ufeff"+header+goodLine+sampled), chips.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	first, second := rows[0], rows[1]
	if first.Status != results.Imported || first.Reason != "lab log of May" || first.Device != results.Other || first.Chip != "Ascend 910" || first.ThreadsPerRank.Known() {
		t.Errorf("the first row is %+v", first)
	}
	// gpt2 is C = 768, T = 1024, B = 2, L = 1: 72 N C² + 6 N (T+1) C FLOPs (docs/shares.md); the chip has 256 TFLOPS of fp16.
	flops := 72*2048*768*768 + 6*2048*1025*768.0
	if got := first.ModelFLOPsPerStep.Or(0); float64(got) != flops {
		t.Errorf("%d FLOPs; want %.0f", got, flops)
	}
	if got, want := first.ShareVendorPct.Or(0), flops/0.01/256e12*100; math.Abs(got-want) > 1e-9 || first.ShareMeasuredPct.Known() {
		t.Errorf("share of the vendor's peak %v; want %v, and none of a measured one", got, want)
	}
	if second.StepMedianS.Or(0) != 0.5 || second.SampleCount.Or(0) != 3 || second.TokensPerS.Or(0) != 4096 || second.Chip != "" || second.ShareVendorPct.Known() {
		t.Errorf("the second row is %+v", second)
	}
	text, err := results.Encode(rows...)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := results.Parse("b.csv", text); err != nil || len(f.Rows) != 2 {
		t.Errorf("read again: %+v, %v", f, err)
	}
}

// TestImportedRowsAreComparedWhereTheCaseIsTheSame sets imported rows beside a measured one of the same case, and of others.
func TestImportedRowsAreComparedWhereTheCaseIsTheSame(t *testing.T) {
	c, err := workload.ParseCase("precision=fp16 model=gpt2")
	if err != nil {
		t.Fatal(err)
	}
	here := sweep.NewRow(c, sweep.Machine{Device: results.CPU, Name: "cpu", Cores: 2}, sweep.Environment{}, time.Now())
	measured, err := Parse("a.csv", []byte(header+goodLine), chips.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	here.StepSamplesS, here.SampleCount, here.StepMedianS = results.Samples{1, 1.1, 1.2, 1.3, 1.4, 1.5}, results.Some(6), results.Some(1.25)
	here.TokensPerStep, here.TokensPerS, here.ModelFLOPsPerStep, here.FLOPsFormula = measured[0].TokensPerStep, results.Some(2048/1.25), measured[0].ModelFLOPsPerStep, measured[0].FLOPsFormula
	here.Settle(results.OK, "")
	for line, pairs := range map[string]int{
		goodLine: 1,
		strings.Replace(goodLine, "model=gpt2", "model=small", 1):                                 0,
		strings.Replace(goodLine, "model=gpt2", "model=gpt2 recompute=blocks", 1):                 0,
		strings.Replace(goodLine, "mixed-precision precision=fp16", "baseline precision=fp32", 1): 0,
	} {
		rows, err := Parse("a.csv", []byte(header+line), chips.Builtin())
		if err != nil {
			t.Fatal(err)
		}
		table, err := compare.Compare([]*results.File{{Path: "here.csv", Rows: []results.Row{here}, Lines: []int{2}}, {Path: "there.csv", Rows: rows, Lines: []int{2}}},
			compare.Options{ThresholdPct: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(table.Pairs) != pairs {
			t.Errorf("%s: %d pairs, refused %+v; want %d", line, len(table.Pairs), table.Refused, pairs)
			continue
		}
		// One time without samples is a ratio and no verdict.
		if pairs == 1 && (table.Pairs[0].Verdict != compare.Unclear || math.Abs(table.Pairs[0].Ratio.Center-125) > 1e-9 || !strings.Contains(strings.Join(table.Pairs[0].Notes, "; "), "lab log of May")) {
			t.Errorf("the pair is %+v", table.Pairs[0])
		}
	}
}

func TestErrorsNameFileLineAndColumn(t *testing.T) {
	with := func(old, new string) string { return header + strings.Replace(goodLine, old, new, 1) }
	tests := []struct{ name, text, want string }{
		{"empty file", "", "a.csv:1: holds no header; write one with case, device_name, source,"},
		{"no row", header, "a.csv:1: holds a header and no row; add some"},
		{"unknown column", strings.Replace(header, "chip", "price", 1) + goodLine, `a.csv:1: column "price": is unknown; use only case,`},
		{"column twice", strings.Replace(header, "host", "chip", 1) + goodLine, "a.csv:1: column chip: occurs twice"},
		{"no source column", "case,device_name,utc_time,step_median_s\n", "a.csv:1: column source: is missing"},
		{"no case", with("technique=mixed-precision precision=fp16 model=gpt2", ""), "a.csv:2: column case: --case: no model;"},
		{"unknown field", with("model=gpt2", "model=gpt2 speed=9"), `a.csv:2: column case: --case: unknown field "speed"`},
		{"impossible case", with("model=gpt2", "model=gpt2 dp=3"), "a.csv:2: column case: "},
		{"wrong technique", with("mixed-precision", "sparse"), "a.csv:2: column case: "},
		{"a machine's setting", with("model=gpt2", "model=gpt2 threads=2"), "a.csv:2: column case: device, threads and isa are of the machine"},
		{"no device", with(`"Ascend 910, a card"`, ""), "a.csv:2: column device_name: is empty"},
		{"no source", with("lab log of May", " "), "a.csv:2: column source: is empty; say where"},
		{"bad time", with("2026-05-01T10:00:00Z", "May"), `a.csv:2: column utc_time: "May" is not a time such as`},
		{"another zone", with("10:00:00Z", "10:00:00+08:00"), ""},
		{"no step", with("0.01", ""), "a.csv:2: column step_median_s: is empty, and so is step_samples_s"},
		{"step of nothing", with("0.01", "0"), "a.csv:2: column step_median_s: 0 is not a time"},
		{"negative step", with("0.01", "-1"), "a.csv:2: column step_median_s: -1 is not a time"},
		{"not a number", with("0.01", "fast"), `a.csv:2: column step_median_s: "fast" is not a number`},
		{"both times", with("0.01,", "0.01,0.01;0.02"), "a.csv:2: column step_median_s: is given beside step_samples_s"},
		{"bad samples", with("0.01,", ",1;x"), `a.csv:2: column step_samples_s: "x" is not a number`},
		{"sample of nothing", with("0.01,", ",1;0"), "a.csv:2: column step_samples_s: 0 is not a time"},
		{"unknown chip", with(",Ascend 910,", ",Ascend 911,"), `a.csv:2: column chip: "Ascend 911" is not in the table`},
		{"over the peak", with("0.01", "0.0000001"), "a.csv:2: column share_survey_pct: is over 100 %"},
		{"line break", with("lab log of May", "\"lab\nlog\""), ""},
		{"short line", header + "model=gpt2,x\n", "a.csv:2: has more or fewer cells than the header"},
		{"open quote", header + "\"model=gpt2\n", "a.csv:2: character"},
	}
	for _, test := range tests {
		_, err := Parse("a.csv", []byte(test.text), chips.Builtin())
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v; want %s", test.name, err, test.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.csv"), chips.Builtin()); err == nil || !strings.HasSuffix(err.Error(), "none.csv: cannot be read: no such file or directory") {
		t.Errorf("no file: %v", err)
	}
}

// TestDocsListEveryColumn holds that docs/import.md documents exactly the columns, and that its example can be read.
func TestDocsListEveryColumn(t *testing.T) {
	page, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Columns() {
		if !strings.Contains(string(page), fmt.Sprintf("\n| `%s` |", name)) {
			t.Errorf("column %s is not documented", name)
		}
	}
	_, example, _ := strings.Cut(string(page), "```csv\n")
	example, _, _ = strings.Cut(example, "```")
	if rows, err := Parse("docs/import.md", []byte(example), chips.Builtin()); err != nil || len(rows) != 2 {
		t.Errorf("the example has %d rows, %v", len(rows), err)
	}
}

// FuzzParse holds that no input crashes the importer, that errors are one line that names the file, and that rows can be written and read.
func FuzzParse(f *testing.F) {
	f.Add(header + goodLine)
	f.Add("case\n\"x\n\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := Parse("a.csv", []byte(text), chips.Builtin())
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "a.csv:") || strings.Contains(msg, "\n") {
				t.Fatalf("error %q", msg)
			}
			return
		}
		written, err := results.Encode(rows...)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := results.Parse("b.csv", written); err != nil || len(f.Rows) != len(rows) {
			t.Fatalf("%d rows are read again as %+v, %v", len(rows), f, err)
		}
	})
}
