package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"ofpeak/bench/auto"
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// event is a line of ofpeak run --json, as docs/running.md has it. Fields that do not belong to an event are left out.
type event struct {
	Event            string                 `json:"event"` // start, begin, stage, end or done
	Time             time.Time              `json:"time"`
	CSV              string                 `json:"csv,omitempty"`                // start, done
	Cases            *int                   `json:"cases,omitempty"`              // start: to be measured or skipped now
	Already          *int                   `json:"already,omitempty"`            // start: rows that the CSV has
	Case             string                 `json:"case,omitempty"`               // begin, stage, end
	Number           int                    `json:"number,omitempty"`             // begin, stage, end: of the case, from 1
	Stage            string                 `json:"stage,omitempty"`              // stage
	Status           results.Status         `json:"status,omitempty"`             // end
	Reason           string                 `json:"reason,omitempty"`             // end
	TookS            float64                `json:"took_s,omitempty"`             // end: from begin on
	StepMedianS      *float64               `json:"step_median_s,omitempty"`      // end
	TokensPerS       *float64               `json:"tokens_per_s,omitempty"`       // end
	ShareMeasuredPct *float64               `json:"share_measured_pct,omitempty"` // end
	Auto             *autoEvent             `json:"auto,omitempty"`               // auto
	Rows             map[results.Status]int `json:"rows,omitempty"`               // done: of the CSV, by status
	Error            string                 `json:"error,omitempty"`              // done: what ended the run early
}

// events shows a run as lines of JSON.
type events struct {
	mu     sync.Mutex
	to     *json.Encoder
	now    func() time.Time
	number int
	line   string // of the running case
	began  time.Time
	err    error // the first line that could not be written
}

func newEvents(w io.Writer) *events { return &events{to: json.NewEncoder(w), now: time.Now} }

func (e *events) send(v event) {
	v.Time = e.now().UTC()
	if err := e.to.Encode(v); err != nil && e.err == nil {
		e.err = err
	}
}

func (e *events) Start(plan []workload.Planned, already []results.Row, path string) {
	cases, rows := len(plan), len(already)
	e.send(event{Event: "start", CSV: path, Cases: &cases, Already: &rows})
}

func (e *events) Begin(c workload.Case) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.number++
	e.line, e.began = c.String(), e.now()
	e.send(event{Event: "begin", Case: e.line, Number: e.number})
}

func (e *events) Stage(stage string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.send(event{Event: "stage", Case: e.line, Number: e.number, Stage: stage})
}

func (e *events) End(row *results.Row) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.send(event{Event: "end", Case: row.Case, Number: e.number, Status: row.Status, Reason: row.Reason, TookS: e.now().Sub(e.began).Seconds(),
		StepMedianS: known(row.StepMedianS), TokensPerS: known(row.TokensPerS), ShareMeasuredPct: known(row.ShareMeasuredPct)})
}

// autoEvent is why a search for the fastest split chose what it chose.
type autoEvent struct {
	Considered int             `json:"considered"`
	Fit        int             `json:"fit"`
	Rejected   []autoRejection `json:"rejected,omitempty"`
	Finalists  []autoFinalist  `json:"finalists,omitempty"` // the fastest predicted first
	Chosen     string          `json:"chosen,omitempty"`    // its case
}

type autoRejection struct {
	Count int    `json:"count"`
	Why   string `json:"why"`
	Case  string `json:"case"` // an example
}

type autoFinalist struct {
	Case           string         `json:"case"`
	MemoryBytes    int64          `json:"memory_bytes"`
	PredictedStepS float64        `json:"predicted_step_s,omitempty"` // not of simulated GPUs
	StepMedianS    *float64       `json:"step_median_s,omitempty"`
	Status         results.Status `json:"status"`
}

// Explain tells what a search rejected, measured and chose, before it ends.
func (e *events) Explain(x auto.Explanation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	told := &autoEvent{Considered: x.Considered, Fit: x.Fit}
	for _, r := range x.Rejected {
		told.Rejected = append(told.Rejected, autoRejection{r.Count, r.Why, r.Example.String()})
	}
	for i, f := range x.Finalists {
		one := autoFinalist{f.Case.String(), f.Memory, f.Step.Total, known(f.Measured), f.Status}
		if x.Case.Device == string(results.Sim) {
			one.PredictedStepS = 0
		}
		if told.Finalists = append(told.Finalists, one); i == x.Chosen {
			told.Chosen = one.Case
		}
	}
	e.send(event{Event: "auto", Case: e.line, Number: e.number, Auto: told})
}

func known(v results.Opt[float64]) *float64 {
	if x, ok := v.Get(); ok {
		return &x
	}
	return nil
}

// Finish ends with done, and returns the first line that could not be written.
func (e *events) Finish(rows []results.Row, path string, err error) error {
	done := event{Event: "done", CSV: path, Rows: map[results.Status]int{}}
	for _, row := range rows {
		done.Rows[row.Status]++
	}
	if err != nil {
		done.Error = err.Error()
	}
	e.send(done)
	return e.err
}
