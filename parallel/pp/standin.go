package pp

import (
	"sync"
	"time"
)

// StandIn measures the share of a step that stages stand idle under a schedule, with stages that only sleep: a forward pass and each part of a backward pass
// of a chunk take a unit, and transfers no time. It shows what a schedule does when its stages really wait for each other, apart from any machine's
// speed; it is no measurement of a model.
func StandIn(s Schedule, stages, microbatches int, unit time.Duration) float64 {
	w := &waiting{unit: unit, done: map[standInKey]chan struct{}{}}
	ranks := make([]standIn, stages)
	for i := range ranks {
		ranks[i] = standIn{w: w, stage: i, stages: stages, actions: s(i, stages, microbatches)}
		for _, a := range ranks[i].actions {
			w.done[standInKey{i, a}] = make(chan struct{})
		}
	}
	var running sync.WaitGroup
	start := time.Now()
	for i := range ranks {
		running.Go(func() { Run(ranks[i].actions, &ranks[i]) })
	}
	running.Wait()
	whole, busy := time.Since(start), time.Duration(0)
	for i := range ranks {
		busy += ranks[i].busy
	}
	return 1 - busy.Seconds()/(whole.Seconds()*float64(stages))
}

// waiting is what the stages share: a channel for each action, closed when its pass is done.
type waiting struct {
	unit time.Duration
	done map[standInKey]chan struct{}
}

type standInKey struct {
	stage int
	Action
}

// standIn is a Stage that sleeps. Its results are there for others as soon as a pass ends, as if a stream of its own sent them.
type standIn struct {
	w             *waiting
	stage, stages int
	actions       []Action
	busy          time.Duration // slept, overshoot included
}

// work sleeps so many units.
func (s *standIn) work(a Action, units int) {
	start := time.Now()
	time.Sleep(time.Duration(units) * s.w.unit)
	s.busy += time.Since(start)
	close(s.w.done[standInKey{s.stage, a}])
}

// wait waits for another stage's pass of a kind, step stages on, if there is one.
func (s *standIn) wait(a Action, step int, kind Kind) {
	from := s.stage + step
	if from < 0 || from == s.stages {
		from, a.Chunk = (from+s.stages)%s.stages, a.Chunk+step
	}
	a.Kind = kind
	if done, ok := s.w.done[standInKey{from, a}]; ok {
		<-done
	}
}

// Forward takes a unit, after the stage before.
func (s *standIn) Forward(a Action) {
	s.wait(a, -1, Forward)
	s.work(a, 1)
}

// Backward takes two, after the stage behind.
func (s *standIn) Backward(a Action, _ bool) {
	s.wait(a, 1, Backward)
	s.work(a, 2)
}

// BackwardInput takes one, after the stage behind.
func (s *standIn) BackwardInput(a Action) {
	s.wait(a, 1, BackwardInput)
	s.work(a, 1)
}

// BackwardWeight takes one.
func (s *standIn) BackwardWeight(a Action, _ bool) { s.work(a, 1) }

// RecvAct, SendAct, RecvGrad and SendGrad take no time: passes wait for each other.
func (s *standIn) RecvAct(Action) {}

// SendAct is like RecvAct.
func (s *standIn) SendAct(Action) {}

// RecvGrad is like RecvAct.
func (s *standIn) RecvGrad(Action) {}

// SendGrad is like RecvAct.
func (s *standIn) SendGrad(Action) {}
