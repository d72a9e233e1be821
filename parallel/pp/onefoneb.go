package pp

// OneFOneB alternates forwards and backwards once the pipeline is full, so that a stage never holds more than stages-stage microbatches
// (Narayanan et al., "PipeDream", arXiv:1806.03377, section 3.2, in the flushing form of arXiv:2104.04473, section 2.2.1, figure 4 top).
//
// Neighbours in the steady state each have something to send. A stage takes the next activations before it hands back a gradient, while the
// stage before sends activations before it takes the gradient: so every Send meets a waiting Recv, without the paired calls that
// NCCL would otherwise need.
func OneFOneB(stage, stages, microbatches int) []Action {
	b := builder{stage: stage, stages: stages}
	warm := min(microbatches, stages-1-stage)
	for k := range warm {
		b.recvAct(k)
		b.forward(k)
	}
	if warm < microbatches {
		b.recvAct(warm)
	}
	for k := range microbatches - warm {
		next := warm + k
		b.forward(next)
		b.backward(k)
		if next+1 < microbatches {
			b.recvAct(next + 1)
		}
		b.sendGrad(k)
	}
	for k := microbatches - warm; k < microbatches; k++ {
		b.backward(k)
		b.sendGrad(k)
	}
	return b.actions
}
