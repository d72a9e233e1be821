package compare

import (
	"encoding/json"
	"io"

	"ofpeak/results"
)

// The JSON form of a comparison. Numbers are not rounded; what is not known is null.
type (
	jsonTable struct {
		ThresholdPct float64       `json:"threshold_pct"`
		Files        []jsonFile    `json:"files"`
		Pairs        []jsonPair    `json:"pairs"`
		Matrix       jsonMatrix    `json:"matrix"`
		Outliers     []jsonRef     `json:"outliers"`
		NotCompared  []jsonRefusal `json:"not_compared"`
		NotOK        []jsonNotOK   `json:"not_ok"`
	}
	jsonFile struct {
		Path     string   `json:"path"`
		Base     bool     `json:"base"`
		Hardware []string `json:"hardware"`
		Warnings []string `json:"warnings"`
	}
	jsonRef struct {
		File string `json:"file"`
		Line int    `json:"line"`
		Case string `json:"case"`
	}
	jsonPair struct {
		Base       jsonRef  `json:"base"`
		Other      jsonRef  `json:"other"`
		Verdict    Verdict  `json:"verdict"`
		Ratio      float64  `json:"ratio"`
		Low        *float64 `json:"ratio_ci_low"`
		High       *float64 `json:"ratio_ci_high"`
		P          float64  `json:"p"`
		ShareRatio *float64 `json:"share_of_peak_ratio"`
		Notes      []string `json:"notes"`
	}
	jsonMatrix struct {
		Row   []string       `json:"row"`
		Col   []string       `json:"col"`
		Cells []jsonMatrixAt `json:"cells"`
	}
	jsonMatrixAt struct {
		Row   string   `json:"row"`
		Col   string   `json:"col"`
		Pairs int      `json:"pairs"`
		Speed float64  `json:"speed_geomean"`
		Share *float64 `json:"share_of_peak_geomean"`
	}
	jsonRefusal struct {
		jsonRef
		With   string `json:"with"`
		Reason string `json:"reason"`
	}
	jsonNotOK struct {
		jsonRef
		Reason string `json:"reason"`
		Lost   bool   `json:"lost"`
	}
)

// WriteJSON writes the comparison as one object.
func (t *Table) WriteJSON(w io.Writer) error {
	out := jsonTable{ThresholdPct: t.Options.ThresholdPct, Files: []jsonFile{}, Pairs: []jsonPair{}, Outliers: []jsonRef{}, NotCompared: []jsonRefusal{}, NotOK: []jsonNotOK{}}
	for i, f := range t.Files {
		out.Files = append(out.Files, jsonFile{f.Path, i == 0, hardwareOf(f), orEmpty(f.Warnings)})
	}
	for _, p := range t.Pairs {
		out.Pairs = append(out.Pairs, jsonPair{t.jsonRef(p.Base), t.jsonRef(p.Other), p.Verdict, p.Ratio.Center, pointer(p.Ratio.Low), pointer(p.Ratio.High), p.Ratio.P,
			pointer(p.ShareRatio()), orEmpty(p.Notes)})
	}
	out.Matrix = t.jsonMatrix()
	for _, p := range t.Outliers() {
		out.Outliers = append(out.Outliers, t.jsonRef(p.Other))
	}
	for _, r := range t.Refused {
		out.NotCompared = append(out.NotCompared, jsonRefusal{t.jsonRef(r.Ref), t.Files[r.With].Path, r.Reason})
	}
	for _, n := range t.NotOK {
		out.NotOK = append(out.NotOK, jsonNotOK{t.jsonRef(n.Ref), n.Reason, n.Lost})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (t *Table) jsonMatrix() jsonMatrix {
	m := t.Matrix(t.Options.rowKeys(), t.Options.colKeys())
	out := jsonMatrix{Row: m.Row, Col: m.Col, Cells: []jsonMatrixAt{}}
	for i, r := range m.Rows {
		for j, c := range m.Cols {
			if cell := m.Cells[i][j]; cell.Pairs > 0 {
				out.Cells = append(out.Cells, jsonMatrixAt{r, c, cell.Pairs, cell.Speed, pointer(cell.Share)})
			}
		}
	}
	return out
}

func (t *Table) jsonRef(r Ref) jsonRef { return jsonRef{t.Files[r.File].Path, r.Line, r.Row.Case} }

func pointer(v results.Opt[float64]) *float64 {
	if x, ok := v.Get(); ok {
		return &x
	}
	return nil
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
