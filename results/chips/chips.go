// Package chips is the table of published peak figures: what the survey prints for a chip, and what its vendor publishes, each with its basis.
//
// The two are not the same thing. The survey mixes dense figures, 2:4-sparse figures and figures of two GPUs or two dies; the table keeps them as printed
// beside the vendor's dense and sparse figures. A figure that nobody published is missing. It is never replaced by that of another chip or another type,
// and no figure here was measured.
package chips

import (
	"fmt"
	"strconv"
	"strings"

	"ofpeak/results"
)

// Chip is one row of the table. Rates are in 10^12 operations per second; memory bandwidth in 10^12 bytes per second.
type Chip struct {
	Maker      string               `csv:"vendor"`
	Name       string               `csv:"chip"`
	SurveyINT8 results.Opt[float64] `csv:"survey_int8_tops"`
	SurveyFP16 results.Opt[float64] `csv:"survey_fp16_tflops"`
	// SurveyBasis says what the survey's figures count: dense, 2:4 sparse, two GPUs, two dies.
	SurveyBasis string               `csv:"survey_basis"`
	FP32        results.Opt[float64] `csv:"fp32_tflops"`
	TF32        results.Opt[float64] `csv:"tf32_tflops"`
	FP16        results.Opt[float64] `csv:"fp16_tflops"`
	BF16        results.Opt[float64] `csv:"bf16_tflops"`
	FP8         results.Opt[float64] `csv:"fp8_tflops"`
	INT8        results.Opt[float64] `csv:"int8_tops"`
	SparseFP16  results.Opt[float64] `csv:"sparse_fp16_tflops"`
	SparseINT8  results.Opt[float64] `csv:"sparse_int8_tops"`
	MemTBPerS   results.Opt[float64] `csv:"mem_tb_per_s"`
	Scope       string               `csv:"scope"`      // what the vendor's figures count: one GPU, one card, module of two dies
	Confidence  string               `csv:"confidence"` // verified or second-hand
	Source      string               `csv:"source"`
}

// Figure is a published peak and the words that must stand beside every share of it.
type Figure struct {
	TOPS  float64 // 10^12 operations per second
	Basis string  // such as "A100 80GB SXM survey FP16 624 TFLOPS (2:4 sparse)"
}

// Survey returns the survey's figure for a type (fp16 or int8: it prints no others), as printed.
func (c Chip) Survey(dtype string) (Figure, bool) {
	value := map[string]results.Opt[float64]{"fp16": c.SurveyFP16, "int8": c.SurveyINT8}[dtype]
	return c.figure("survey", dtype, value, c.SurveyBasis)
}

// Vendor returns the vendor's figure for a type: the dense one, or the one for 2:4-sparse weights, which counts the skipped zeros.
func (c Chip) Vendor(dtype string, sparse24 bool) (Figure, bool) {
	dense := map[string]results.Opt[float64]{
		"fp32": c.FP32, "tf32": c.TF32, "fp16": c.FP16, "bf16": c.BF16, "fp8": c.FP8, "int8": c.INT8,
	}
	sparse := map[string]results.Opt[float64]{"fp16": c.SparseFP16, "int8": c.SparseINT8}
	value, basis := dense[dtype], "dense"
	if sparse24 {
		value, basis = sparse[dtype], "2:4 sparse"
	}
	if c.Scope != "" && c.Scope != "one GPU" && c.Scope != "one card" && c.Scope != "one chip" {
		basis += ", " + c.Scope
	}
	if c.Confidence != "" && c.Confidence != "verified" {
		basis += ", " + c.Confidence
	}
	return c.figure("vendor", dtype, value, basis)
}

func (c Chip) figure(who, dtype string, value results.Opt[float64], basis string) (Figure, bool) {
	tops, ok := value.Get()
	if !ok {
		return Figure{}, false
	}
	return Figure{tops, fmt.Sprintf("%s %s %s %s %s (%s)", c.Name, who, strings.ToUpper(dtype), number(tops), unit(dtype), basis)}, true
}

func unit(dtype string) string {
	if strings.HasPrefix(dtype, "int") {
		return "TOPS"
	}
	return "TFLOPS"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Notes are the traps of the survey's figures for this chip, one sentence each.
func (c Chip) Notes() []string {
	var notes []string
	for _, part := range strings.Split(c.SurveyBasis, " and ") {
		switch part {
		case "", "dense":
		case "2:4 sparse":
			notes = append(notes, "the survey's figures are 2:4-sparse; dense work can reach half")
		case "two GPUs":
			notes = append(notes, "the survey's figures count two GPUs")
		case "two dies":
			notes = append(notes, "the figures count the two dies of a module; one process sees one die, half of it")
		default:
			notes = append(notes, "the survey's figures: "+part)
		}
	}
	for _, m := range []struct {
		name           string
		survey, vendor results.Opt[float64]
	}{{"FP16", c.SurveyFP16, c.FP16}, {"INT8", c.SurveyINT8, c.INT8}} {
		switch {
		case !m.survey.Known() && !m.vendor.Known():
			notes = append(notes, "no "+m.name+" figure was found")
		case !m.survey.Known():
			notes = append(notes, "the survey prints no "+m.name+" figure")
		case !m.vendor.Known():
			notes = append(notes, "no vendor's "+m.name+" figure was found")
		}
	}
	return notes
}
