package main

import (
	"fmt"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
)

// training is a step of the block on one fixed batch against a fixed target.
type training struct {
	device kernels.Device
	stream kernels.Stream
	stage  *block.Stage
	acts   *block.Acts
	dout   kernels.Tensor // (B·T,C)
	losses []float64      // of the steps before the clock
}

// trainer trains kernels/block on kernels/cpu.
type trainer struct{ cores []int }

func (t trainer) name() string { return "ofpeak" }

// prepare reads a shape C x NH x T x L x B.
func (t trainer) prepare(op, text, dtype string) (work, error) {
	if op != "train" {
		return nil, fmt.Errorf("operation %s here", op)
	}
	var c block.Config
	if n, err := fmt.Sscanf(text, "%dx%dx%dx%dx%d", &c.C, &c.NH, &c.T, &c.L, &c.Batch); n != 5 || err != nil {
		return nil, fmt.Errorf("shape %s; give C x NH x T x L x B", text)
	}
	known := false
	if c.Precision, known = kernels.PrecisionNamed(dtype); !known {
		return nil, fmt.Errorf("type %s here", dtype)
	}
	c.Seed = seed
	w := &training{}
	if err := w.open(t.cores, c); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *training) open(cores []int, c block.Config) (err error) {
	if w.device, err = cpu.New(cpu.Config{Cores: cores}); err != nil {
		return err
	}
	if w.stream, err = w.device.NewStream(); err != nil {
		return err
	}
	if w.stage, err = block.New(w.device, w.stream, c); err != nil {
		return err
	}
	if w.acts, err = w.stage.NewActs(); err != nil {
		return err
	}
	buffer, err := w.device.Alloc(c.Precision.Compute, w.acts.Out.Size())
	if err != nil {
		return err
	}
	w.dout = kernels.Of(buffer, w.acts.Out.Shape...)
	w.upload(w.acts.In, dataStream)
	w.upload(w.acts.Target, dataStream+1)
	return w.warmUp()
}

func (w *training) upload(dst kernels.Tensor, stream uint64) {
	w.stream.Upload(dst, tensor.New(tensor.WithShape(dst.Shape...), tensor.WithBacking(operand(stream, dst.Size(), same))))
}

// warmUp takes three steps and keeps their losses.
func (w *training) warmUp() error {
	loss := make([]float64, 1)
	host := tensor.New(tensor.WithShape(1), tensor.WithBacking(loss))
	for range 3 {
		if err := w.step(); err != nil {
			return err
		}
		if err := w.stream.Download(host, w.stage.Loss); err != nil {
			return err
		}
		w.losses = append(w.losses, loss[0])
	}
	return nil
}

func (w *training) step() error {
	s, st := w.stream, w.stage
	st.ZeroGrads(s)
	st.Run(s, w.acts, nil, nil)
	st.AddLoss(s, w.acts, w.dout, w.acts.Out.Size())
	st.Backward(s, w.acts, w.dout, nil, nil)
	st.CheckGrads(s)
	st.Update(s, block.DefaultHyper, 0, st.Size())
	st.EndStep(s)
	return s.Sync()
}

func (w *training) sample(count int) []float64 { return w.losses[:min(count, len(w.losses))] }

func (w *training) close() {
	if w.dout.Buf != nil {
		w.dout.Buf.Free()
	}
	if w.acts != nil {
		w.acts.Free()
	}
	if w.stage != nil {
		w.stage.Close()
	}
	if w.stream != nil {
		w.stream.Close()
	}
	if w.device != nil {
		w.device.Close()
	}
}
