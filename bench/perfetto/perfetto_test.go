package perfetto

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ofpeak/bench/waterfall"
	"ofpeak/parallel/trace"
)

const ms = time.Millisecond

func span(op string, kind trace.Kind, phase trace.Phase, microbatch, begin, end int) trace.Span {
	return trace.Span{Op: op, Kind: kind, Phase: phase, Microbatch: microbatch, Begin: time.Duration(begin) * ms, End: time.Duration(end) * ms}
}

func sent(op string, from, to, begin, end int) trace.Span {
	s := span(op, trace.Transfer, trace.Forward, 0, begin, end)
	s.Calls = []trace.Call{{Group: "pp", From: from, To: to, Number: 1, Sends: op == "send"}}
	return s
}

// twoStages are the timelines of a step: stage 1 begins when stage 0 has sent.
func twoStages() waterfall.Step {
	base := time.Now()
	product := span("linear.forward", trace.Product, trace.Forward, 0, 1, 10)
	product.FLOPs, product.Bytes = 2e6, 1e3
	return waterfall.Step{
		{Rank: 0, Stage: 0, Base: base, Length: 50 * ms, Host: []trace.Span{span("enqueue", trace.Memory, "", -1, 0, 2)}, Tracks: []trace.Track{
			{Name: "compute", Spans: []trace.Span{product, span("wait", trace.Wait, trace.Backward, 0, 10, 40), span("layernorm.backward", trace.Memory, trace.Backward, 0, 40, 50)}},
			{Name: "pipe", Spans: []trace.Span{sent("send", 0, 1, 10, 13), sent("recv", 1, 0, 13, 40)}},
		}},
		{Rank: 1, Stage: 1, Base: base.Add(ms), Length: 45 * ms, Tracks: []trace.Track{
			{Name: "compute", Spans: []trace.Span{span("wait", trace.Wait, trace.Forward, 0, 0, 12), span("add", trace.Memory, trace.Forward, 0, 12, 20),
				span("adamw", trace.Update, trace.Optimizer, -1, 20, 30)}},
			{Name: "pipe", Spans: []trace.Span{sent("recv", 0, 1, 0, 12), sent("send", 1, 0, 30, 39)}},
		}},
	}
}

func TestEvents(t *testing.T) {
	f := New()
	f.Add("model=tiny pp=2", twoStages())
	if err := check(f); err != nil {
		t.Error(err)
	}
	find := func(name string, pid int) Event {
		i := slices.IndexFunc(f.Events, func(e Event) bool { return e.Name == name && e.PID == pid })
		if i < 0 {
			t.Fatalf("no %s of process %d", name, pid)
		}
		return f.Events[i]
	}
	e := find("linear.forward", 1)
	if e.TS != 1000 || e.Dur != 9000 || e.TID != 2 || e.Cat != "product" || e.Args.FLOPs != 2e6 || e.Args.Bytes != 1e3 || *e.Args.Microbatch != 0 || e.Args.Phase != "forward" {
		t.Errorf("%+v with %+v", e, e.Args)
	}
	if e := find("forward 0", 2); e.TS != 13000 || e.Dur != 8000 { // a millisecond later than its own clock says; without the wait
		t.Errorf("%+v", e)
	}
	if e := find("optimizer", 2); e.Args.Microbatch != nil {
		t.Errorf("microbatch %d", *e.Args.Microbatch)
	}
	if e := find("process_labels", 2); e.Args.Labels != "model=tiny pp=2" {
		t.Errorf("%+v", e.Args)
	}
	f.Add("model=tiny", waterfall.Step{twoStages()[0]})
	if c := f.Cases[1]; c.FirstPID != 3 || c.Ranks != 1 {
		t.Errorf("the second case is %+v", c)
	}
	find("enqueue", 3)
}

// check says how a trace breaks the format: a missing field, or what Check finds.
func check(f *File) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var file struct {
		TraceEvents []map[string]any `json:"traceEvents"`
		Unit        string           `json:"displayTimeUnit"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	if file.Unit != "ms" && file.Unit != "ns" {
		return fmt.Errorf("display unit %q", file.Unit)
	}
	for i, e := range file.TraceEvents {
		for _, field := range []string{"name", "ph", "ts", "pid", "tid"} {
			if _, ok := e[field]; !ok {
				return fmt.Errorf("event %d: no %s: %v", i, field, e)
			}
		}
	}
	return f.Check()
}

// Each way to break a trace is found.
func TestCheck(t *testing.T) {
	find := func(f *File, phase, name string) *Event {
		return &f.Events[slices.IndexFunc(f.Events, func(e Event) bool { return e.Phase == phase && e.Name == name })]
	}
	for what, test := range map[string]struct {
		change func(f *File)
		want   string
	}{
		"negative time":   {func(f *File) { find(f, "X", "add").TS = -1 }, "add from -1"},
		"negative length": {func(f *File) { find(f, "X", "add").Dur = -1 }, "for -1"},
		"going back":      {func(f *File) { find(f, "X", "adamw").TS = 15e3 }, "before"},
		"across a phase":  {func(f *File) { find(f, "X", "forward 0").Dur = 5e3 }, "lies across forward 0"},
		"no name":         {func(f *File) { f.Events[len(f.Events)-1].TID = 9 }, "lies in no span"},
		"nameless thread": {func(f *File) { find(f, "X", "add").TID = 9 }, "has no name"},
		"flow twice":      {func(f *File) { f.Events = append(f.Events, *find(f, "s", "send-recv")) }, "two of s"},
		"flow in the air": {func(f *File) { find(f, "s", "send-recv").TS = 49e3 }, "lies in no span"},
		"flow without end": {func(f *File) {
			f.Events = slices.DeleteFunc(f.Events, func(e Event) bool { return e.Phase == "f" && e.ID == 1 })
		}, "2 sends and 2 recvs have 2 and 1 ends"},
		"flow to another": {func(f *File) { find(f, "f", "send-recv").ID = 7 }, "flow"},
		"backwards flow":  {func(f *File) { find(f, "f", "send-recv").Bind = "" }, "goes from"},
	} {
		f := New()
		f.Add("model=tiny pp=2", twoStages())
		test.change(f)
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", what, err, test.want)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.json")
	if err := Create(path); err != nil {
		t.Fatal(err)
	}
	if err := Create(path); err == nil || err.Error() != "exists already; choose another file" {
		t.Errorf("created again: %v", err)
	}
	for i := range 2 {
		if err := Append(path, fmt.Sprint("case ", i), twoStages()); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(f); err != nil {
		t.Error(err)
	}
	if len(f.Cases) != 2 || f.Cases[1].Case != "case 1" {
		t.Errorf("cases %+v", f.Cases)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	for text, want := range map[string]string{"": "is no trace", "{}": "is no trace", `{"traceEvents":3}`: "is no trace", "\x00": "is no trace"} {
		bad := filepath.Join(t.TempDir(), "bad.json")
		if err := os.WriteFile(bad, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read: %v", text, err)
		}
	}
	if err := Append(filepath.Join(t.TempDir(), "none.json"), "c", twoStages()); err == nil || !strings.Contains(err.Error(), "cannot be read: no such file") {
		t.Errorf("appended to no file: %v", err)
	}
	if err := Create(filepath.Join(t.TempDir(), "no", "folder.json")); err == nil || !strings.Contains(err.Error(), "cannot be created: no such file") {
		t.Errorf("created in no folder: %v", err)
	}
}

// The picture has a bar for each phase, in place and to scale, and a strip for each transfer.
func TestPicture(t *testing.T) {
	f := New()
	f.Add("model=tiny pp=2", twoStages())
	p, err := f.Picture(1)
	if err != nil {
		t.Fatal(err)
	}
	svg := p.File()
	for what, want := range map[string]int{
		"rank 0: forward 0, 1 to 10 ms": 1, "rank 0: backward 0, 40 to 50 ms": 1, "rank 1: forward 0, 13 to 21 ms": 1, "rank 1: optimizer, 21 to 31 ms": 1,
		"rank 0: send, 10 to 13 ms": 1, "rank 1: recv, 1 to 13 ms": 1, "linear.forward": 0, ": wait,": 0,
		"http://www.w3.org/2000/svg": 1, ">backward<": 1, ">optimizer<": 1, ">other<": 0, "model=tiny pp=2": 2,
	} {
		if n := strings.Count(svg, what+"<"); strings.HasPrefix(what, "rank") && n != want {
			t.Errorf("%q occurs %d times, want %d", what, n, want)
		}
		if n := strings.Count(svg, what); !strings.HasPrefix(what, "rank") && n != want {
			t.Errorf("%q occurs %d times, want %d", what, n, want)
		}
	}
	// 50 ms are the width: a millisecond has (1000-64-12)/50 units.
	if want := `x="803.2" y="64" width="183.8"`; !strings.Contains(svg, want) {
		t.Errorf("no bar with %s in\n%s", want, svg)
	}
	for _, n := range []int{0, 2} {
		if _, err := f.Picture(n); err == nil || err.Error() != fmt.Sprintf("case %d: the trace has 1", n) {
			t.Errorf("case %d: %v", n, err)
		}
	}
}
