package workload

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ofpeak/kernels"
	"ofpeak/parallel/pp"
)

// byteTokens is how many tokens a text is made of.
const byteTokens = 256

// maxRanks bounds each axis of the mesh, so that their product stays in an int.
const maxRanks = 1 << 16

// Validate is nil if the case makes sense on some machine. Otherwise its one line names the flag and the way out. Whether this machine's
// device can run the case is another question, which needs the device.
func (c Case) Validate() error {
	for _, check := range []func(Case) error{checkNames, checkRanges, checkModel, checkMesh, checkZeRO, checkRecompute, checkPrecision, checkPipeline, checkLayout, checkExperts, checkMemoryLimit, checkEngine, checkTechnique} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func checkNames(c Case) error {
	var precisions []string
	for _, p := range kernels.Precisions {
		precisions = append(precisions, p.Name)
	}
	for _, f := range []struct {
		flag, value string
		known       []string
	}{
		{"technique", c.Technique, Techniques},
		{"engine", c.Engine, Engines},
		{"precision", c.Precision, precisions},
		{"pass", c.Pass, Passes},
		{"device", c.Device, Devices},
		{"recompute", c.Recompute, Recomputes},
		{"cut", c.Cut, Cuts},
		{"overlap", c.Overlap, Overlaps},
		{"schedule", c.Schedule, append([]string{""}, Schedules...)},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("--%s %s is unknown; take one of %s", f.flag, f.value, strings.TrimPrefix(strings.Join(f.known, ", "), ", "))
		}
	}
	return nil
}

// checkRanges looks at each number alone.
func checkRanges(c Case) error {
	m := c.Model
	for _, d := range []struct {
		what      string
		n, lo, hi int
	}{
		{"--model: C=", m.C, 1, maxDim}, {"--model: NH=", m.NH, 1, maxDim}, {"--model: T=", m.T, 1, maxDim},
		{"--model: L=", m.L, 1, maxDim}, {"--model: B=", m.B, 1, maxDim}, {"--model: V=", m.V, 0, maxDim},
		{"--dp ", c.DP, 1, maxRanks}, {"--tp ", c.TP, 1, maxRanks}, {"--pp ", c.PP, 1, maxRanks}, {"--ep ", c.EP, 1, maxRanks}, {"--cp ", c.CP, 1, maxRanks}, {"--threads ", c.Threads, 0, maxRanks},
		{"--chunks ", c.Chunks, 1, pp.MaxChunks}, {"--microbatches ", c.Microbatches, 1, maxDim}, {"--bucket-bytes ", c.BucketBytes, 1, math.MaxInt}, {"--zero ", c.ZeRO, 0, 3},
	} {
		if d.n < d.lo || d.n > d.hi {
			return fmt.Errorf("%s%d is outside %d to %d; pass a number within", d.what, d.n, d.lo, d.hi)
		}
	}
	return nil
}

func checkModel(c Case) error {
	if m := c.Model; m.C%m.NH != 0 {
		return fmt.Errorf("--model %s: C=%d is not divisible by NH=%d; change one", m, m.C, m.NH)
	}
	if m := c.Model; m.V > 0 && m.V < byteTokens {
		return fmt.Errorf("--model %s: a vocabulary of V=%d has no place for the %d values of a byte; take at least as many, or V=0 for a model without one", m, m.V, byteTokens)
	}
	return nil
}

func checkMesh(c Case) error {
	m := c.Model
	if parts := c.DP * c.EP * c.Microbatches; m.B%parts != 0 {
		return fmt.Errorf("--model %s: the batch B=%d is not divisible by dp=%d times microbatches=%d; change --ranks or pass --model %s,B=%d",
			m, m.B, c.DP*c.EP, c.Microbatches, m, (m.B/parts+1)*parts)
	}
	if m.NH%c.TP != 0 {
		return fmt.Errorf("--model %s: NH=%d heads cannot be split over tp=%d ranks; change --ranks to divide NH", m, m.NH, c.TP)
	}
	split := 1 // ranks that share a sequence's tokens between the products
	if c.Sequence {
		split = c.TP
	}
	if m.T%split != 0 {
		return fmt.Errorf("--model %s: T=%d tokens cannot be split over tp=%d ranks; pass --model %s,T=%d or drop --sequence-parallel", m, m.T, c.TP, m, (m.T/split+1)*split)
	}
	if unit := 2 * c.CP * split; c.CP > 1 && m.T%unit != 0 {
		return fmt.Errorf("--model %s: T=%d tokens do not make two chunks for each of cp=%d ranks that %d ranks can split; pass --model %s,T=%d", m, m.T, c.CP, split, m, (m.T/unit+1)*unit)
	}
	if c.Sequence && c.TP == 1 {
		return fmt.Errorf("--sequence-parallel splits tokens over tensor-parallel ranks; add tp=2 or drop it")
	}
	if c.Overlap != Auto && !c.sharesLayers() {
		return fmt.Errorf("--overlap %s is for ranks that share a layer; add dp=2, tp=2 or another such axis, or drop it", c.Overlap)
	}
	if stages := c.PP * c.Chunks; c.Chunks > 1 && stages > m.L {
		return fmt.Errorf("--model %s: L=%d layers make no pp=%d times chunks=%d stages; pass --model %s,L=%d or fewer --chunks", m, m.L, c.PP, c.Chunks, m, stages)
	}
	if c.PP > m.L {
		return fmt.Errorf("--model %s: L=%d layers make no pp=%d stages; pass --model %s,L=%d or fewer --ranks", m, m.L, c.PP, m, c.PP)
	}
	return nil
}

func checkZeRO(c Case) error {
	switch {
	case c.ZeRO > 0 && c.Replicas() == 1:
		return fmt.Errorf("--zero %d shares among data-, expert- and context-parallel ranks; add dp=2 or drop it", c.ZeRO)
	case c.ZeRO > 0 && c.Overlap == Off:
		return fmt.Errorf("--zero %d exchanges while it computes; drop --overlap off", c.ZeRO)
	case c.ZeRO > 0 && c.Pass == Forward:
		return fmt.Errorf("--zero %d shares what training keeps; pass --pass train or drop it", c.ZeRO)
	}
	return nil
}

func checkRecompute(c Case) error {
	if c.Recompute != None && c.Pass == Forward {
		return fmt.Errorf("--recompute %s: a forward pass keeps nothing that could be computed again; pass --pass train or drop it", c.Recompute)
	}
	return nil
}

func checkPrecision(c Case) error {
	if c.Precision == "int8" && c.Pass != Forward {
		return fmt.Errorf("--precision int8 has no backward pass; pass --pass forward")
	}
	if (c.Precision == "fp64") != (c.Device == Ref) {
		return fmt.Errorf("--precision %s on --device %s: fp64 and the ref device go together only; change one", c.Precision, c.Device)
	}
	return nil
}

func checkPipeline(c Case) error {
	switch {
	case c.PP > 1 && c.Schedule == "":
		return fmt.Errorf("pp=%d needs --schedule %s", c.PP, strings.Join(Schedules, " or "))
	case c.Chunks > 1 && c.Schedule != Inter:
		return fmt.Errorf("--chunks %d are of --schedule %s; drop one or take the other", c.Chunks, Inter)
	case c.Schedule == Inter && c.PP > 1 && c.Chunks == 1:
		return fmt.Errorf("--schedule %s with one chunk a rank is %s; pass --chunks 2 or --schedule %s", Inter, F1B1, F1B1)
	case c.Schedule == ZBH1 && c.ZeRO >= 2:
		return fmt.Errorf("--schedule %s completes a layer's gradients in two passes, which --zero %d cannot hand on; take --zero 1 or --schedule %s", ZBH1, c.ZeRO, F1B1)
	case c.Schedule == ZBH1 && c.Recompute != None:
		return fmt.Errorf("--schedule %s needs activations longer than --recompute %s keeps them; drop one", ZBH1, c.Recompute)
	case c.PP == 1 && c.Cut != ByCost:
		return fmt.Errorf("--cut %s cuts pipeline stages; add pp=2 or drop it", c.Cut)
	case c.PP == 1 && c.Schedule != "":
		return fmt.Errorf("--schedule %s needs pipeline stages; add pp=2 or drop it", c.Schedule)
	case c.Pass == Forward && (c.Schedule == F1B1 || c.Schedule == ZBH1):
		return fmt.Errorf("--schedule %s says when backward passes run, and --pass forward has none; take --schedule %s or %s", c.Schedule, GPipe, Inter)
	}
	return nil
}

// checkLayout looks at each rank's shard of the block's matrices.
func checkLayout(c Case) error {
	if c.Layout.Format == kernels.Int8 {
		return fmt.Errorf("--layout int8 is chosen by --precision int8")
	}
	if c.Layout.Format != kernels.Dense && (c.Precision == "int8" || c.Precision == "fp8") {
		return fmt.Errorf("--precision %s has dense weights only; pass --layout dense", c.Precision)
	}
	if c.Layout.Format == kernels.BlockSparse && c.TP > 1 {
		return fmt.Errorf("--layout %s keeps blocks of whole weight rows, which tp=%d would cut; take tp=1 or --layout 2:4", LayoutString(c.Layout), c.TP)
	}
	for _, w := range c.matrices() {
		if err := c.Layout.Check(w[0], w[1]); err != nil {
			return fmt.Errorf("--layout %s with model %s and tp=%d: %w; change the layout or C", LayoutString(c.Layout), c.Model, c.TP, err)
		}
	}
	return nil
}

func checkEngine(c Case) error {
	if c.IsGorgonia() && (c.World() > 1 || c.Layout.Format != kernels.Dense || c.Precision != "fp32" || c.Device != CPU || c.Model.V > 0 || c.Recompute != None || c.Experts != (Experts{})) {
		return fmt.Errorf("--engine %s runs a dense fp32 block stack on one cpu rank only; pass --engine native", c.Engine)
	}
	if c.IsGorgonia() && c.Memory > 0 {
		return fmt.Errorf("--memory %s limits our own allocator, which --engine %s does not use; drop it or pass --engine native", c.Memory, c.Engine)
	}
	if c.Engine == Gorgonia && c.ISA != "" {
		return fmt.Errorf("--isa %s: --engine gorgonia runs none of our kernels; drop one or pass --engine gorgonia+blas", c.ISA)
	}
	return nil
}

func checkTechnique(c Case) error {
	if want := Classify(c); c.Technique != want {
		return fmt.Errorf("--technique %s: the other fields describe %s; change the technique, precision, layout, dp, tp or pp", c.Technique, want)
	}
	return nil
}
