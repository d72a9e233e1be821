package perfetto

import (
	"fmt"
	"slices"
)

// rounding of a time, in microseconds.
const rounding = 1e-3

// thread is a process and one of its threads.
type thread struct{ pid, tid int }

// Check says how the trace breaks the format: times that go back, spans of a thread that overlap without one holding the other, or a Send or Recv
// without its flow.
func (f *File) Check() error {
	threads := map[thread][]Event{}
	named := map[thread]bool{}
	for _, e := range f.Events {
		at := thread{e.PID, e.TID}
		switch e.Phase {
		case "M":
			named[at] = true
		case "X":
			if e.TS < 0 || e.Dur < 0 {
				return fmt.Errorf("%s from %g for %g µs", e.Name, e.TS, e.Dur)
			}
			threads[at] = append(threads[at], e)
		}
	}
	for at, spans := range threads {
		if !named[at] {
			return fmt.Errorf("thread %d of process %d has no name", at.tid, at.pid)
		}
		if err := checkNesting(spans); err != nil {
			return err
		}
	}
	return f.checkFlows(threads)
}

// checkNesting holds that the operators of a thread follow each other, and that each phase holds some of them whole.
func checkNesting(spans []Event) error {
	var phases, ops []Event
	for _, e := range spans {
		if e.Cat == phaseCat {
			phases = append(phases, e)
		} else {
			ops = append(ops, e)
		}
	}
	for _, list := range [][]Event{phases, ops} {
		for i := 1; i < len(list); i++ {
			if list[i].TS < list[i-1].end()-rounding {
				return fmt.Errorf("%s at %g µs begins before %s ends at %g µs", list[i].Name, list[i].TS, list[i-1].Name, list[i-1].end())
			}
		}
	}
	for _, p := range phases {
		for _, e := range ops {
			apart := e.end() <= p.TS+rounding || e.TS >= p.end()-rounding
			inside := e.TS >= p.TS-rounding && e.end() <= p.end()+rounding
			if !apart && !inside {
				return fmt.Errorf("%s from %g to %g µs lies across %s from %g to %g µs", e.Name, e.TS, e.end(), p.Name, p.TS, p.end())
			}
		}
	}
	return nil
}

func (e Event) end() float64 { return e.TS + e.Dur }

// checkFlows holds that flows begin and end in spans of two processes, and that there are as many as Sends and Recvs. Groups of both have their own.
func (f *File) checkFlows(threads map[thread][]Event) error {
	begins, ends := map[int]Event{}, map[int]Event{}
	for _, e := range f.Events {
		to := map[string]map[int]Event{"s": begins, "f": ends}[e.Phase]
		if to == nil {
			continue
		}
		if _, twice := to[e.ID]; twice {
			return fmt.Errorf("flow %d has two of %s", e.ID, e.Phase)
		}
		to[e.ID] = e
		within := func(x Event) bool { return x.TS <= e.TS+rounding && e.TS <= x.end()+rounding }
		if !slices.ContainsFunc(threads[thread{e.PID, e.TID}], within) {
			return fmt.Errorf("flow %d's %s at %g µs lies in no span", e.ID, e.Phase, e.TS)
		}
	}
	count := map[string]int{}
	for _, spans := range threads {
		for _, e := range spans {
			count[e.Name]++
		}
	}
	if sends, recvs := count["send"], count["recv"]; len(begins) != len(ends) || len(begins) < sends || len(ends) < recvs {
		return fmt.Errorf("%d sends and %d recvs have %d and %d ends of flows", sends, recvs, len(begins), len(ends))
	}
	for id, s := range begins {
		if e, ok := ends[id]; !ok || e.TS < s.TS-rounding || e.PID == s.PID || e.Bind != "e" {
			return fmt.Errorf("flow %d goes from %+v to %+v", id, s, e)
		}
	}
	return nil
}
