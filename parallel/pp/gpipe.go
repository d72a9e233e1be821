package pp

// GPipe runs all forwards, then all backwards in the opposite order (Huang et al., "GPipe", arXiv:1811.06965, section 2.3, figure 2c). It
// is the naive schedule: every microbatch's activations are held at once.
func GPipe(stage, stages, microbatches int) []Action {
	b := builder{stage: stage, stages: stages}
	for k := range microbatches {
		b.recvAct(k)
		b.forward(k)
	}
	for k := microbatches - 1; k >= 0; k-- {
		b.backward(k)
		b.sendGrad(k)
	}
	return b.actions
}

// Inference is the forward half of GPipe.
func Inference(stage, stages, microbatches int) []Action {
	b := builder{stage: stage, stages: stages}
	for k := range microbatches {
		b.recvAct(k)
		b.forward(k)
	}
	return b.actions
}

// builder appends actions, leaving out transfers past either end of the pipeline.
type builder struct {
	stage, stages int
	actions       []Action
}

func (b *builder) add(k Kind, microbatch int) {
	b.actions = append(b.actions, Action{Kind: k, Microbatch: microbatch})
}

func (b *builder) recvAct(k int) {
	if b.stage > 0 {
		b.add(RecvAct, k)
	}
}

// forward sends what it computes.
func (b *builder) forward(k int) {
	b.add(Forward, k)
	if b.stage < b.stages-1 {
		b.add(SendAct, k)
	}
}

// backward receives what it starts from.
func (b *builder) backward(k int) {
	b.recvGrad(k)
	b.add(Backward, k)
}

// backwardInput receives what it starts from.
func (b *builder) backwardInput(k int) {
	b.recvGrad(k)
	b.add(BackwardInput, k)
}

func (b *builder) recvGrad(k int) {
	if b.stage < b.stages-1 {
		b.add(RecvGrad, k)
	}
}

func (b *builder) sendGrad(k int) {
	if b.stage > 0 {
		b.add(SendGrad, k)
	}
}
