package pp

// ZBH1 is the zero-bubble schedule that holds as much as 1F1B (Qi et al., "Zero Bubble Pipeline Parallelism", arXiv:2401.10241, section 2.1, figure
// 3 top). The backward pass falls in two: the gradient of the input, for which the stage before waits, and those of the weights, for
// which no one does. Order and warm-up are 1F1B's, but stage i puts off the weights' gradients by i microbatches, and so has work left while
// 1F1B drains.
//
// A microbatch is held until its weights' gradients are done: stages of them at most, and one more that is only received.
func ZBH1(stage, stages, microbatches int) []Action {
	b := builder{stage: stage, stages: stages}
	warm := min(microbatches, stages-1-stage)
	for k := range warm {
		b.recvAct(k)
		b.forward(k)
	}
	if warm < microbatches {
		b.recvAct(warm)
	}
	for k := range microbatches {
		next := warm + k
		if next < microbatches {
			b.forward(next)
		}
		b.backwardInput(k)
		if next+1 < microbatches {
			b.recvAct(next + 1)
		}
		b.sendGrad(k)
		if k >= stage {
			b.add(BackwardWeight, k-stage)
		}
	}
	for k := max(0, microbatches-stage); k < microbatches; k++ {
		b.add(BackwardWeight, k)
	}
	return b.actions
}
