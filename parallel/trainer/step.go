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
	if !t.launch(false) {
		t.pass(false)
	}
}

// ForwardPass enqueues the forward pass of all microbatches and the loss, without gradients. Sync must follow before the next.
func (t *Trainer) ForwardPass() {
	if !t.launch(true) {
		t.pass(true)
	}
}

// pass enqueues a training step or a forward pass, call by call.
func (t *Trainer) pass(inferring bool) {
	t.start(inferring)
	if inferring {
		t.infer()
	} else {
		t.train()
	}
	t.finish()
}

func (t *Trainer) train() {
	t.Stage.ZeroGrads(t.compute)
	pp.Run(t.training, t)
	if t.reducer != nil {
		t.mark(trace.Reduce, -1)
		from := t.clock.mark(t.compute)
		t.reducer.Wait()
		t.clock.end(t.compute, exposed, from)
	}
	t.optimize()
}

func (t *Trainer) infer() {
	t.compute.Fill(t.Stage.Loss, 0)
	t.Stage.ZeroRoutes(t.compute)
	pp.Run(t.inference, t)
}

func (t *Trainer) start(inferring bool) {
	t.clock.reset()
	t.begun, t.inferring, t.before = 0, inferring, t.rank.Counts()
	if t.sharded != nil {
		t.sharded.Start()
	}
	if t.ring != nil {
		t.ring.Start()
	}
	if t.aside != nil {
		t.aside.Start()
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
	if t.sharded != nil || t.rank.EP.Size() > 1 {
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
func (t *Trainer) Forward(a pp.Action) {
	acts := t.point(a)
	t.mark(trace.Forward, a.Microbatch)
	if t.piped() {
		from := t.clock.mark(t.compute)
		if !t.opens(a) {
			t.compute.Wait(t.pipeEvents.gotAct[t.at(a)])
		}
		if before, ok := t.predecessor(a); ok && !t.closes(a) {
			t.compute.Wait(t.pipeEvents.sentAct[before]) // the slot's output is about to change
		}
		t.clock.end(t.compute, bubble, from)
	}
	t.clock.within = forward
	from := t.clock.mark(t.compute)
	t.Stage.Run(t.compute, acts, t.tp, t.forwardHooks())
	if t.inferring && t.closes(a) {
		t.Stage.AddLoss(t.compute, acts, kernels.Tensor{}, t.count)
		if t.outputs != nil {
			t.compute.Copy(t.outputs[a.Microbatch], acts.Out)
		}
	}
	t.clock.end(t.compute, forward, from)
	if t.piped() {
		t.compute.Record(t.pipeEvents.ranForward[t.at(a)])
	}
}

// Backward is part of pp.Stage.
func (t *Trainer) Backward(a pp.Action, last bool) {
	t.mark(trace.Backward, a.Microbatch)
	t.backward(a, t.backwardHooks(last), false)
	t.release(a)
}

// BackwardInput is part of pp.Stage.
func (t *Trainer) BackwardInput(a pp.Action) {
	t.mark(trace.BackwardInput, a.Microbatch)
	t.backward(a, nil, true)
}

// BackwardWeight is part of pp.Stage.
func (t *Trainer) BackwardWeight(a pp.Action, last bool) {
	t.mark(trace.BackwardWeight, a.Microbatch)
	t.clock.within = backward
	from := t.clock.mark(t.compute)
	t.Stage.BackwardWeight(t.compute, t.slot(a), t.tp, t.backwardHooks(last))
	t.clock.end(t.compute, backward, from)
	t.release(a)
}

// release lets another microbatch have the slot.
func (t *Trainer) release(a pp.Action) {
	if t.piped() {
		t.compute.Record(t.pipeEvents.released[t.at(a)])
	}
}

// backward runs a backward pass, or its first part.
func (t *Trainer) backward(a pp.Action, hooks block.Hooks, split bool) {
	i, acts := t.begun, t.slot(a)
	t.passes[t.at(a)] = i
	d := t.grads[i%len(t.grads)]
	if t.piped() {
		from := t.clock.mark(t.compute)
		if !t.closes(a) {
			t.compute.Wait(t.pipeEvents.gotGrad[t.at(a)])
		} else if before := i - len(t.grads); before >= 0 {
			t.compute.Wait(t.pipeEvents.sentGrad[before]) // the loss writes the gradient's place
		}
		t.clock.end(t.compute, bubble, from)
	}
	t.clock.within = backward
	from := t.clock.mark(t.compute)
	if t.closes(a) {
		t.Stage.AddLoss(t.compute, acts, d, t.count)
	}
	if split {
		t.Stage.BackwardInput(t.compute, acts, d, t.tp)
	} else {
		t.Stage.Backward(t.compute, acts, d, t.tp, hooks)
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

// point gives an action's microbatch its slot, around its data.
func (t *Trainer) point(a pp.Action) *block.Acts {
	acts := t.slot(a)
	switch {
	case !t.opens(a):
	case t.language():
		acts.IDs = t.inputs[a.Microbatch]
	default:
		acts.In = t.inputs[a.Microbatch]
	}
	if t.closes(a) {
		acts.Target = t.targets[a.Microbatch]
	}
	return acts
}
