package trainer

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/pp"
	"ofpeak/parallel/trace"
)

// TrainStep enqueues one training step: all microbatches forward and backward, the sum of the gradients, AdamW. Sync must follow before the
// next.
func (t *Trainer) TrainStep() {
	if t.Stage.Forward {
		panic("trainer: a forward-only model cannot train")
	}
	t.start(false)
	t.Stage.ZeroGrads(t.compute)
	pp.Run(t.training, t)
	if t.reducer != nil {
		t.mark(trace.Reduce, -1)
		from := t.clock.mark(t.compute)
		t.reducer.Wait()
		t.clock.end(t.compute, exposed, from)
	}
	t.optimize()
	t.finish()
}

// ForwardPass enqueues the forward pass of all microbatches and the loss, without gradients. Sync must follow before the next.
func (t *Trainer) ForwardPass() {
	t.start(true)
	t.compute.Fill(t.Stage.Loss, 0)
	pp.Run(t.inference, t)
	t.finish()
}

func (t *Trainer) start(inferring bool) {
	t.clock.reset()
	t.begun, t.inferring, t.before = 0, inferring, t.rank.Counts()
	if t.sharded != nil {
		t.sharded.Start()
	}
	t.mark(trace.Begin, -1)
	t.stepStart = t.clock.mark(t.compute)
}

// optimize updates the weights unless some rank that has a part of the gradients found an overflow.
func (t *Trainer) optimize() {
	t.clock.within = optimizer
	t.mark(trace.Optimizer, -1)
	from := t.clock.mark(t.compute)
	if t.partials != nil {
		t.partials.Sum(t.compute)
	}
	t.Stage.CheckGrads(t.compute)
	if parts := t.gradientParts(); t.Stage.Precision.ScaleLoss && parts.Size() > 1 {
		parts.AllReduce(t.compute, t.found, t.found)
	}
	switch {
	case t.sharded != nil:
		t.sharded.Update()
		t.waitExposed(t.sharded.Updated())
	case t.Stage.Size() > 0:
		t.compute.AdamW(t.update)
	}
	t.Stage.EndStep(t.compute)
	t.clock.end(t.compute, optimizer, from)
}

// gradientParts connects the ranks among which the model's gradients are spread.
func (t *Trainer) gradientParts() comm.Communicator {
	if t.sharded != nil {
		return t.rank.All
	}
	return t.rank.Model
}

// waitExposed holds the compute stream until communication has reached an event, and times that as exposed.
func (t *Trainer) waitExposed(e kernels.Event) {
	from := t.clock.mark(t.compute)
	t.compute.Wait(e)
	t.clock.exposes(t.compute, from)
}

// finish sums the loss, which only last stages have, and ends the step's time.
func (t *Trainer) finish() {
	t.mark(trace.End, -1)
	t.compute.Copy(t.loss, t.Stage.Loss)
	if parts := t.lossParts(); parts.Size() > 1 {
		parts.AllReduce(t.compute, t.loss, t.loss)
	}
	t.stepEnd = t.clock.mark(t.compute)
}

// lossParts connects the ranks among which the loss's terms are spread.
func (t *Trainer) lossParts() comm.Communicator {
	if t.Stage.Sequence && !t.language() {
		return t.rank.All
	}
	return t.rank.Data
}

// Forward is part of pp.Stage.
func (t *Trainer) Forward(k int) {
	a := t.point(k)
	t.mark(trace.Forward, k)
	if t.piped() {
		from := t.clock.mark(t.compute)
		if !t.first() {
			t.compute.Wait(t.pipeEvents.gotAct[k])
		}
		if !t.Stage.Last() && k >= len(t.slots) {
			t.compute.Wait(t.pipeEvents.sentAct[k-len(t.slots)]) // the slot's output is about to change
		}
		t.clock.end(t.compute, bubble, from)
	}
	t.clock.within = forward
	from := t.clock.mark(t.compute)
	t.Stage.Run(t.compute, a, t.tp, t.forwardHooks())
	if t.inferring && t.Stage.Last() {
		t.Stage.AddLoss(t.compute, a, kernels.Tensor{}, t.count)
	}
	t.clock.end(t.compute, forward, from)
	if t.piped() {
		t.compute.Record(t.pipeEvents.ranForward[k])
	}
}

// Backward is part of pp.Stage.
func (t *Trainer) Backward(k int, last bool) {
	t.mark(trace.Backward, k)
	t.backward(k, t.backwardHooks(last), false)
	t.release(k)
}

// BackwardInput is part of pp.Stage.
func (t *Trainer) BackwardInput(k int) {
	t.mark(trace.BackwardInput, k)
	t.backward(k, nil, true)
}

// BackwardWeight is part of pp.Stage.
func (t *Trainer) BackwardWeight(k int, last bool) {
	t.mark(trace.BackwardWeight, k)
	t.clock.within = backward
	from := t.clock.mark(t.compute)
	t.Stage.BackwardWeight(t.compute, t.slots[k%len(t.slots)], t.tp, t.backwardHooks(last))
	t.clock.end(t.compute, backward, from)
	t.release(k)
}

// release lets another microbatch have k's slot.
func (t *Trainer) release(k int) {
	if t.piped() {
		t.compute.Record(t.pipeEvents.released[k])
	}
}

// backward runs a backward pass, or its first part.
func (t *Trainer) backward(k int, hooks block.Hooks, split bool) {
	i, a := t.begun, t.slots[k%len(t.slots)]
	d := t.grads[i%len(t.grads)]
	if t.piped() {
		from := t.clock.mark(t.compute)
		if !t.Stage.Last() {
			t.compute.Wait(t.pipeEvents.gotGrad[k])
		} else if before := i - len(t.grads); before >= 0 {
			t.compute.Wait(t.pipeEvents.sentGrad[before]) // the loss writes the gradient's place
		}
		t.clock.end(t.compute, bubble, from)
	}
	t.clock.within = backward
	from := t.clock.mark(t.compute)
	if t.Stage.Last() {
		t.Stage.AddLoss(t.compute, a, d, t.count)
	}
	if split {
		t.Stage.BackwardInput(t.compute, a, d, t.tp)
	} else {
		t.Stage.Backward(t.compute, a, d, t.tp, hooks)
	}
	t.clock.end(t.compute, backward, from)
	if t.piped() {
		t.compute.Record(t.pipeEvents.ranBackward[i])
	}
	t.begun++
}

func (t *Trainer) forwardHooks() block.Hooks {
	if t.reducer == nil {
		return nil
	}
	return t.reducer.Forward()
}

func (t *Trainer) backwardHooks(last bool) block.Hooks {
	if t.reducer == nil {
		return nil
	}
	return t.reducer.Backward(last)
}

// point gives microbatch k its slot, around its data.
func (t *Trainer) point(k int) *block.Acts {
	a := t.slots[k%len(t.slots)]
	switch {
	case !t.first():
	case t.language():
		a.IDs = t.inputs[k]
	default:
		a.In = t.inputs[k]
	}
	if t.Stage.Last() {
		a.Target = t.targets[k]
	}
	return a
}
