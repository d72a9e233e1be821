package trainer

import (
	"ofpeak/kernels"
	"ofpeak/parallel/trace"
)

// pipeEvents order the compute stream and the transfers between stages.
type pipeEvents struct {
	gotAct, ranForward, sentAct []kernels.Event // by microbatch
	gotGrad, released           []kernels.Event // by microbatch
	ranBackward, sentGrad       []kernels.Event // by backward pass, in the schedule's order
	all                         []kernels.Event
}

func (p *pipeEvents) make(dev kernels.Device, microbatches int) error {
	for _, list := range []*[]kernels.Event{&p.gotAct, &p.ranForward, &p.sentAct, &p.gotGrad, &p.released, &p.ranBackward, &p.sentGrad} {
		for range microbatches {
			e, err := dev.NewEvent()
			if err != nil {
				return err
			}
			*list = append(*list, e)
			p.all = append(p.all, e)
		}
	}
	return nil
}

func (p *pipeEvents) close() {
	for _, e := range p.all {
		e.Close()
	}
}

func (t *Trainer) piped() bool { return t.rank.PP.Size() > 1 }

// RecvAct is part of pp.Stage. The slot is free when the last pass of the microbatch that held it has run: slots are used again only by
// schedules whose backward passes follow the microbatches' order.
func (t *Trainer) RecvAct(k int) {
	t.mark(trace.Forward, k)
	a, e := t.slots[k%len(t.slots)], &t.pipeEvents
	if before := k - len(t.slots); before >= 0 {
		if t.inferring {
			t.pipe.Wait(e.ranForward[before])
		} else {
			t.pipe.Wait(e.released[before])
		}
	}
	t.rank.PP.Recv(t.pipe, a.In, t.rank.PP.Rank()-1)
	t.pipe.Record(e.gotAct[k])
}

// SendAct is part of pp.Stage.
func (t *Trainer) SendAct(k int) {
	t.mark(trace.Forward, k)
	e := &t.pipeEvents
	t.pipe.Wait(e.ranForward[k])
	t.rank.PP.Send(t.pipe, t.slots[k%len(t.slots)].Out, t.rank.PP.Rank()+1)
	t.pipe.Record(e.sentAct[k])
}

// RecvGrad is part of pp.Stage. The gradient's place is free when the backward pass before the last one has run; that it was sent on, the
// pipe's own order ensures.
func (t *Trainer) RecvGrad(k int) {
	t.mark(trace.Backward, k)
	e := &t.pipeEvents
	if before := t.begun - len(t.grads); before >= 0 {
		t.pipe.Wait(e.ranBackward[before])
	}
	t.rank.PP.Recv(t.pipe, t.grads[t.begun%len(t.grads)], t.rank.PP.Rank()+1)
	t.pipe.Record(e.gotGrad[k])
}

// SendGrad is part of pp.Stage. It hands on what the last backward pass left.
func (t *Trainer) SendGrad(k int) {
	t.mark(trace.Backward, k)
	i, e := t.begun-1, &t.pipeEvents
	t.pipe.Wait(e.ranBackward[i])
	t.rank.PP.Send(t.pipe, t.grads[i%len(t.grads)], t.rank.PP.Rank()-1)
	t.pipe.Record(e.sentGrad[i])
}
