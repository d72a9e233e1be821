package chips

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"ofpeak/results/render"
)

func TestLookup(t *testing.T) {
	tests := []struct{ name, want string }{
		{"A100 80GB SXM", "A100 80GB SXM"},
		{"a100 80gb sxm", "A100 80GB SXM"},
		{" H100 PCIe ", "H100 PCIe"},
		{"NVIDIA A100-SXM4-80GB", "A100 80GB SXM"},
		{"NVIDIA A100 80GB PCIe", "A100 80GB PCIe"},
		{"NVIDIA H100 80GB HBM3", "H100 SXM"},
		{"NVIDIA H100 NVL", "H100 NVL"},
		{"AMD Instinct MI300X", "Instinct MI300"},
		// Chips without a row, and names that only resemble one.
		{"NVIDIA A100-SXM4-40GB", ""},
		{"NVIDIA A100-PCIE-40GB", ""},
		{"NVIDIA A100-SXM4-80GB MIG 1g.10gb", ""},
		{"NVIDIA H100 80GB HBM3 MIG 3g.40gb", ""},
		{"NVIDIA A800-SXM4-80GB", ""},
		{"NVIDIA H800", ""},
		{"NVIDIA H200", ""},
		{"NVIDIA H100", ""},
		{"AMD Instinct MI250X", ""},
		{"AMD Instinct MI300A", ""},
		{"A100", ""},
		{"", ""},
	}
	for _, test := range tests {
		chip, ok := Builtin().Lookup(test.name)
		if chip.Name != test.want || ok != (test.want != "") {
			t.Errorf("Lookup(%q) = %q, %v; want %q", test.name, chip.Name, ok, test.want)
		}
	}
	for device, row := range aliases {
		if chip, ok := Builtin().Lookup(device); !ok || chip.Name != row {
			t.Errorf("alias %q leads to %q, %v", device, chip.Name, ok)
		}
	}
}

func TestFigures(t *testing.T) {
	const survey = "survey"
	tests := []struct {
		chip, kind, dtype string // kind: survey, dense, 2:4
		tops              float64
		basis             string // "": not published
	}{
		{"A100 80GB SXM", survey, "fp16", 624, "A100 80GB SXM survey FP16 624 TFLOPS (2:4 sparse)"},
		{"A100 80GB SXM", survey, "int8", 1248, "A100 80GB SXM survey INT8 1248 TOPS (2:4 sparse)"},
		{"A100 80GB SXM", "dense", "bf16", 312, "A100 80GB SXM vendor BF16 312 TFLOPS (dense)"},
		{"A100 80GB SXM", "2:4", "fp16", 624, "A100 80GB SXM vendor FP16 624 TFLOPS (2:4 sparse)"},
		{"A100 80GB PCIe", survey, "fp16", 312, "A100 80GB PCIe survey FP16 312 TFLOPS (dense)"},
		{"H100 NVL", survey, "fp16", 3958, "H100 NVL survey FP16 3958 TFLOPS (2:4 sparse and two GPUs)"},
		{"H100 NVL", "dense", "fp16", 835.5, "H100 NVL vendor FP16 835.5 TFLOPS (dense, one GPU of the pair, second-hand)"},
		{"Instinct MI250", survey, "int8", 362.1, "Instinct MI250 survey INT8 362.1 TOPS (dense and two dies)"},
		{"Instinct MI250", "dense", "fp32", 45.3, "Instinct MI250 vendor FP32 45.3 TFLOPS (dense, module of two dies)"},
		{"MLU290", "dense", "int8", 512, "MLU290 vendor INT8 512 TOPS (dense, second-hand)"},
		// Missing figures stay missing, whatever stands beside them.
		{"MLU290", survey, "fp16", 0, ""},
		{"MLU290", "dense", "fp16", 0, ""},
		{"Kunlun 2", survey, "int8", 0, ""},
		{"Instinct MI300", survey, "fp16", 0, ""},
		{"Instinct MI250", "2:4", "fp16", 0, ""},
		{"Ascend 910", "dense", "bf16", 0, ""},
		{"A100 80GB SXM", survey, "bf16", 0, ""},
		{"A100 80GB SXM", survey, "fp32", 0, ""},
		{"A100 80GB SXM", "dense", "fp8", 0, ""},
		{"A100 80GB SXM", "2:4", "fp32", 0, ""},
		{"A100 80GB SXM", "dense", "fp64", 0, ""},
		{"A100 80GB SXM", "dense", "FP16", 0, ""},
	}
	for _, test := range tests {
		chip, ok := Builtin().Lookup(test.chip)
		if !ok {
			t.Fatalf("%s is not in the table", test.chip)
		}
		figure, found := chip.Survey(test.dtype)
		if test.kind != survey {
			figure, found = chip.Vendor(test.dtype, test.kind == "2:4")
		}
		if want := (Figure{test.tops, test.basis}); figure != want || found != (test.basis != "") {
			t.Errorf("%s %s %s: %+v, %v; want %+v", test.chip, test.kind, test.dtype, figure, found, want)
		}
	}
}

func TestShare(t *testing.T) {
	a100, _ := Builtin().Lookup("A100 80GB SXM")
	tests := []struct {
		name    string
		work    []Work
		seconds float64
		peak    Peak
		want    float64 // NaN: missing
		basis   string
	}{
		{"half of dense", []Work{{"fp16", false, 156e12}}, 1, a100.Vendor, 50, "A100 80GB SXM vendor FP16 312 TFLOPS (dense)"},
		{"the same work against the survey", []Work{{"fp16", false, 156e12}}, 1, a100.SurveyPeak, 25, "A100 80GB SXM survey FP16 624 TFLOPS (2:4 sparse)"},
		{"half of sparse", []Work{{"fp16", true, 312e12}}, 1, a100.Vendor, 50, "A100 80GB SXM vendor FP16 624 TFLOPS (2:4 sparse)"},
		{"a quarter second of each of two types in one second", []Work{{"bf16", false, 78e12}, {"fp32", false, 4.875e12}}, 1, a100.Vendor, 50,
			"A100 80GB SXM vendor BF16 312 TFLOPS (dense) + A100 80GB SXM vendor FP32 19.5 TFLOPS (dense), weighted by FLOPs"},
		{"two lots of one type", []Work{{"fp16", false, 78e12}, {"fp16", false, 78e12}}, 2, a100.Vendor, 25, "A100 80GB SXM vendor FP16 312 TFLOPS (dense)"},
		{"over 100 is not hidden", []Work{{"fp16", false, 624e12}}, 1, a100.Vendor, 200, "A100 80GB SXM vendor FP16 312 TFLOPS (dense)"},
		{"one type without peak", []Work{{"bf16", false, 1e12}, {"fp64", false, 1}}, 1, a100.Vendor, math.NaN(), ""},
		{"no work of a type without peak", []Work{{"bf16", false, 312e12}, {"fp64", false, 0}}, 1, a100.Vendor, 100, "A100 80GB SXM vendor BF16 312 TFLOPS (dense)"},
		{"unknown chip", []Work{{"fp16", false, 1e12}}, 1, Chip{}.Vendor, math.NaN(), ""},
		{"no work", nil, 1, a100.Vendor, math.NaN(), ""},
	}
	for _, test := range tests {
		share, basis := Share(test.work, test.seconds, test.peak)
		got := share.Or(math.NaN())
		if !(math.Abs(got-test.want) < 1e-9) && !(math.IsNaN(got) && math.IsNaN(test.want)) || basis != test.basis {
			t.Errorf("%s: %v, %q; want %v, %q", test.name, got, basis, test.want, test.basis)
		}
	}
}

// TestNotesNameEveryTrap holds what a reader of the survey's table must be told.
func TestNotesNameEveryTrap(t *testing.T) {
	tests := []struct {
		chip string
		want []string // words of its notes; none: no note
	}{
		{"A100 80GB PCIe", nil},
		{"A100 80GB SXM", []string{"2:4-sparse"}},
		{"H100 NVL", []string{"2:4-sparse", "two GPUs"}},
		{"Instinct MI250X", []string{"two dies"}},
		{"MLU290", []string{"no FP16"}},
		{"Kunlun 2", []string{"no INT8"}},
		{"Instinct MI300", []string{"planned", "no FP16", "no INT8"}},
	}
	for _, test := range tests {
		chip, _ := Builtin().Lookup(test.chip)
		notes := strings.Join(chip.Notes(), "; ")
		if test.want == nil && notes != "" {
			t.Errorf("%s: notes %q; want none", test.chip, notes)
		}
		for _, word := range test.want {
			if !strings.Contains(notes, word) {
				t.Errorf("%s: notes %q do not say %q", test.chip, notes, word)
			}
		}
	}
}

func TestWith(t *testing.T) {
	header := strings.Join(Columns(), ",") + "\n"
	const row = "Acme,Rocket,,,,1.5,,,,,,,,,one card,verified,sheet\n"
	path := write(t, header+row)
	table, err := Builtin().With(path)
	if err != nil {
		t.Fatal(err)
	}
	rocket, ok := table.Lookup("rocket")
	if figure, found := rocket.Vendor("fp32", false); !ok || !found || figure.TOPS != 1.5 {
		t.Errorf("the added chip: %+v, %v, %v", figure, found, ok)
	}
	if _, ok := Builtin().Lookup("rocket"); ok {
		t.Error("the built-in table has grown")
	}
	tests := []struct{ name, text, want string }{
		{"empty file", "", "%s: holds no header; a chip table has vendor,chip,"},
		{"missing column", strings.Replace(header, ",scope", "", 1), "%s:1: column scope: is missing"},
		{"unknown column", strings.Replace(header, "scope", "scope,price", 1), `%s:1: column "price": is unknown`},
		{"column twice", strings.Replace(header, "scope", "scope,scope", 1), "%s:1: column scope: occurs twice"},
		{"bad number", header + strings.Replace(row, "1.5", "fast", 1), `%s:2: column fp32_tflops: "fast" is not a number`},
		{"zero", header + strings.Replace(row, "1.5", "0", 1), "%s:2: column fp32_tflops: 0 is not a rate; leave an unknown figure empty"},
		{"no name", header + strings.Replace(row, "Rocket", "", 1), `%s:2: column chip: "" is not a name`},
		{"twice", header + row + strings.ToUpper(row), `%s:3: column chip: "ROCKET" is in the table already`},
		{"built in", header + strings.Replace(row, "Rocket", "h100 sxm", 1), `%s:2: column chip: "h100 sxm" is in the table already`},
		{"survey figure without basis", header + strings.Replace(row, "Rocket,,", "Rocket,5,", 1), "%s:2: column survey_basis: is empty"},
		{"no source", header + strings.Replace(row, "sheet", "", 1), "%s:2: column source: is empty"},
		{"short line", header + "Acme,Rocket\n", "%s:2: has more or fewer cells than the header"},
	}
	for _, test := range tests {
		path := write(t, test.text)
		_, err := Builtin().With(path)
		if want := fmt.Sprintf(test.want, path); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v; want %s", test.name, err, want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chips.csv")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// On a narrow terminal the table leaves out what says least, and says so.
func TestTableFitsTheTerminal(t *testing.T) {
	for width, left := range map[int]string{0: "", 120: "", 70: "survey/dense.", 60: "survey/dense, vendor 2:4."} {
		var out strings.Builder
		if err := Builtin().Write(&out, render.Text, width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width > 0 && n > width {
				t.Errorf("%d wide: a line of %d: %s", width, n, line)
			}
		}
		text := strings.Join(strings.Fields(out.String()), " ")
		if _, said, _ := strings.Cut(text, "for want of width: "); !strings.HasPrefix(said, left) || (left == "") != (said == "") || !strings.Contains(text, "Notes: - Ascend 910") {
			t.Errorf("%d wide: left out %.50q", width, said)
		}
	}
}
