package trainer

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/pp"
	"ofpeak/parallel/trace"
)

// pipeEvents order the compute stream and the transfers between stages.
type pipeEvents struct {
	gotAct, ranForward, sentAct []kernels.Event // by microbatch, chunk after chunk
	gotGrad, released           []kernels.Event // likewise
	ranBackward, sentGrad       []kernels.Event // by backward pass, in the schedule's order
	all                         []kernels.Event
}

func (p *pipeEvents) make(dev kernels.Device, passes int) error {
	for _, list := range []*[]kernels.Event{&p.gotAct, &p.ranForward, &p.sentAct, &p.gotGrad, &p.released, &p.ranBackward, &p.sentGrad} {
		for range passes {
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

// at is the index of an action's microbatch in its chunk among those of all chunks.
func (t *Trainer) at(a pp.Action) int { return a.Chunk*t.microbatches + a.Microbatch }

// slot holds the activations of an action's microbatch.
func (t *Trainer) slot(a pp.Action) *block.Acts {
	slots := t.slots[a.Chunk]
	return slots[a.Microbatch%len(slots)]
}

// predecessor is the microbatch that had an action's slot before.
func (t *Trainer) predecessor(a pp.Action) (int, bool) {
	a.Microbatch -= len(t.slots[a.Chunk])
	return t.at(a), a.Microbatch >= 0
}

// opens and closes report whether an action's chunk is the model's first or last stage.
func (t *Trainer) opens(a pp.Action) bool  { return t.first() && a.Chunk == 0 }
func (t *Trainer) closes(a pp.Action) bool { return t.Stage.Last() && a.Chunk == len(t.slots)-1 }

// previous and next are the ranks of the stages before and behind. Stages that chunks lie on go round.
func (t *Trainer) previous() int { return (t.rank.PP.Rank() + t.rank.PP.Size() - 1) % t.rank.PP.Size() }
func (t *Trainer) next() int     { return (t.rank.PP.Rank() + 1) % t.rank.PP.Size() }

// RecvAct is part of pp.Stage. The slot is free when the last pass of the microbatch that held it has run: slots are used again only by
// schedules whose backward passes follow the microbatches' order.
func (t *Trainer) RecvAct(a pp.Action) {
	t.mark(trace.Forward, a.Microbatch)
	e := &t.pipeEvents
	if before, ok := t.predecessor(a); ok {
		if t.inferring {
			t.pipe.Wait(e.ranForward[before])
		} else {
			t.pipe.Wait(e.released[before])
		}
	}
	t.rank.PP.Recv(t.pipe, t.slot(a).In, t.previous())
	t.pipe.Record(e.gotAct[t.at(a)])
}

// SendAct is part of pp.Stage.
func (t *Trainer) SendAct(a pp.Action) {
	t.mark(trace.Forward, a.Microbatch)
	e := &t.pipeEvents
	t.pipe.Wait(e.ranForward[t.at(a)])
	t.rank.PP.Send(t.pipe, t.slot(a).Out, t.next())
	t.pipe.Record(e.sentAct[t.at(a)])
}

// RecvGrad is part of pp.Stage. The gradient's place is free when the backward pass that had it before has run; that it was sent on, the
// pipe's own order ensures.
func (t *Trainer) RecvGrad(a pp.Action) {
	t.mark(trace.Backward, a.Microbatch)
	e := &t.pipeEvents
	if before := t.begun - len(t.grads); before >= 0 {
		t.pipe.Wait(e.ranBackward[before])
	}
	t.rank.PP.Recv(t.pipe, t.grads[t.begun%len(t.grads)], t.next())
	t.pipe.Record(e.gotGrad[t.at(a)])
}

// SendGrad is part of pp.Stage. It hands on what the backward pass left.
func (t *Trainer) SendGrad(a pp.Action) {
	t.mark(trace.Backward, a.Microbatch)
	i, e := t.passes[t.at(a)], &t.pipeEvents
	t.pipe.Wait(e.ranBackward[i])
	t.rank.PP.Send(t.pipe, t.grads[i%len(t.grads)], t.previous())
	t.pipe.Record(e.sentGrad[i])
}
