// Package isolate measures each case in a process of its own, so that a case which crashes, hangs or takes all memory costs its row and no other.
//
// The protocol between a sweep and the child that measures a case:
//
//   - The child's last argument is a Job as JSON: one case. Every process of a child that consists of several gets the same.
//   - The child's standard output is lines of JSON, each a Message: the stages that the case reaches and, last, its row. One process writes it. Other lines
//     that land there count as output of the case, as its standard error does.
//   - The child's standard input never holds anything. Its end says that the sweep is gone, and the child ends at once (Enter).
//   - A child that ends without a row has failed; the reason is made of its exit status, its signal and its last words.
//   - The environment has Mark. All that bears it is killed when the case has ended, whatever process group it has moved to.
package isolate

import (
	"encoding/json"
	"fmt"
	"io"

	"ofpeak/bench/workload"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
)

// Mark is the variable that tells a case's processes from all others.
const Mark = "OFPEAK_CASE_MARK"

// Job is what a child is asked to do.
type Job struct {
	Case    string          `json:"case"`            // the line that reproduces it
	Task    string          `json:"task,omitempty"`  // Probe or Costs; "": measure it
	Options json.RawMessage `json:"options"`         // how it is measured; the command's affair
	Carry   json.RawMessage `json:"carry,omitempty"` // what a Carrier of the same sweep left
}

// Tasks other than to measure a case.
const (
	Probe = "probe" // its first steps only
	Costs = "costs" // what predicts any split of it
)

// ParseJob reads a child's argument.
func ParseJob(argument string) (Job, workload.Case, error) {
	var job Job
	if err := json.Unmarshal([]byte(argument), &job); err != nil {
		return job, workload.Case{}, fmt.Errorf("the argument is no job: %w; use ofpeak run --case instead", err)
	}
	c, err := workload.ParseCase(job.Case)
	return job, c, err
}

// Message is one line of a child.
type Message struct {
	Stage string          `json:"stage,omitempty"` // that the case has reached
	Row   string          `json:"row,omitempty"`   // a results CSV of one row; the last message
	Costs json.RawMessage `json:"costs,omitempty"` // in its place, if they are the task
	Carry json.RawMessage `json:"carry,omitempty"` // with the row: what later children need not find out again
}

// Carrier is a runner that finds out things once a sweep which its cases share, such as ceilings.
type Carrier interface {
	Carry() ([]byte, error)
	Recall([]byte) error
}

// Writer sends a child's messages.
type Writer struct{ w io.Writer }

// NewWriter sends to a child's standard output.
func NewWriter(w io.Writer) Writer { return Writer{w} }

// Stage tells that the case has reached a stage.
func (w Writer) Stage(stage string) error { return w.send(Message{Stage: stage}) }

// Row ends the case.
func (w Writer) Row(row results.Row, carry []byte) error {
	text, err := results.Encode(row)
	if err != nil {
		return err
	}
	return w.send(Message{Row: string(text), Carry: carry})
}

// Costs ends the task that has no row.
func (w Writer) Costs(t costmodel.Table) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return w.send(Message{Costs: text})
}

// send writes a line with one call.
func (w Writer) send(m Message) error {
	line, err := json.Marshal(m)
	if err == nil {
		_, err = w.w.Write(append(line, '\n'))
	}
	return err
}

// parseMessage reads a line of a child; false means that it is none of ours.
func parseMessage(line []byte) (Message, bool) {
	var m Message
	err := json.Unmarshal(line, &m)
	return m, err == nil && (m.Stage != "" || m.Row != "" || m.Costs != nil)
}
