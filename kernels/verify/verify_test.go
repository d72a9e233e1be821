package verify

import (
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// broken is a device one of whose operators is wrong.
type broken struct {
	*ref.Device
	wrap func(kernels.Stream) kernels.Stream
}

func (b broken) NewStream() (kernels.Stream, error) {
	s, err := b.Device.NewStream()
	return b.wrap(s), err
}

type overrun struct{ kernels.Stream }

func (s overrun) Add(out, x, bias, residual kernels.Tensor) {
	s.Stream.Add(out, x, bias, residual)
	s.Fill(out.At(out.Size(), 1), 0)
}

type wroteInput struct{ kernels.Stream }

func (s wroteInput) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	s.Stream.LayerNormForward(out, mean, rstd, x, gain, bias)
	s.Fill(gain, 1)
}

type assigned struct{ kernels.Stream }

func (s assigned) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	s.Fill(dw.Values, 0)
	s.Stream.LinearBackwardWeight(dw, dbias, dout, x)
}

type unwritten struct{ kernels.Stream }

func (s unwritten) AttentionForward(out, lse, qkv kernels.Tensor) {
	s.Stream.AttentionForward(out, lse, qkv)
	s.Fill(lse.At(lse.Size()-1, 1), nan)
}

type noDecay struct{ kernels.Stream }

func (s noDecay) AdamW(a kernels.AdamWArgs) {
	a.WeightDecay = 0
	s.Stream.AdamW(a)
}

type outsideRead struct{ kernels.Stream }

func (s outsideRead) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	s.Stream.CrossEntropy(loss, dlogits, logits.At(1, logits.Shape...), targets, n, state)
}

func TestCasesCatch(t *testing.T) {
	for _, c := range []struct {
		name, message string
		op            kernels.Op
		wrap          func(kernels.Stream) kernels.Stream
	}{
		{"overrun", "guard of out", kernels.OpLinear, func(s kernels.Stream) kernels.Stream { return overrun{s} }},
		{"input written", "input gain changed", kernels.OpLayerNorm, func(s kernels.Stream) kernels.Stream { return wroteInput{s} }},
		{"= for +=", "dw is off", kernels.OpLinear, func(s kernels.Stream) kernels.Stream { return assigned{s} }},
		{"output not written", "lse is off", kernels.OpAttention, func(s kernels.Stream) kernels.Stream { return unwritten{s} }},
		{"no weight decay", "master is off", kernels.OpAdamW, func(s kernels.Stream) kernels.Stream { return noDecay{s} }},
		{"read outside", "dlogits is off by +Inf", kernels.OpLoss, func(s kernels.Stream) kernels.Stream { return outsideRead{s} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var first error
			for _, k := range Cases(1) {
				if k.Op == c.op && k.Type == kernels.F32 && first == nil {
					_, first = k.Run(broken{ref.New(), c.wrap})
				}
			}
			if first == nil || !strings.Contains(first.Error(), c.message) {
				t.Errorf("got %v, want %q", first, c.message)
			}
		})
	}
}

func TestOutOfMemoryIsAnError(t *testing.T) {
	dev := ref.New()
	dev.LimitMemory(1000)
	for _, c := range Cases(1)[:1] {
		if _, err := c.Run(dev); err == nil || !strings.Contains(err.Error(), "out of device memory") {
			t.Errorf("got %v", err)
		}
	}
	if m := dev.Memory().Current; m != 0 {
		t.Errorf("%d bytes were not freed", m)
	}
}
