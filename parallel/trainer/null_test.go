package trainer

import (
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// nullDevice has streams that do nothing but communicate, to see what the trainer itself allocates.
type nullDevice struct{ kernels.Device }

func (nullDevice) NewStream() (kernels.Stream, error) { return nullStream{}, nil }

func (nullDevice) NewEvent() (kernels.Event, error) { return nullEvent{}, nil }

// nullEvent takes no time.
type nullEvent struct{}

func (nullEvent) Since(kernels.Event) time.Duration { return 0 }
func (nullEvent) Close() error                      { return nil }

type nullStream struct{}

func (nullStream) EmbeddingForward(_, _, _, _ kernels.Tensor)                                    {}
func (nullStream) EmbeddingBackward(_, _, _, _ kernels.Tensor)                                   {}
func (nullStream) LayerNormForward(_, _, _, _, _, _ kernels.Tensor)                              {}
func (nullStream) LayerNormBackward(_, _, _, _, _, _, _, _, _ kernels.Tensor)                    {}
func (nullStream) LinearForward(_, _ kernels.Tensor, _ kernels.Weight, _ kernels.Epilogue)       {}
func (nullStream) LinearBackwardInput(_, _ kernels.Tensor, _ kernels.Weight, _ kernels.Epilogue) {}
func (nullStream) LinearBackwardWeight(_ kernels.Weight, _, _, _ kernels.Tensor)                 {}
func (nullStream) AttentionForward(_, _, _ kernels.Tensor)                                       {}
func (nullStream) AttentionBackward(_, _, _, _, _, _ kernels.Tensor)                             {}
func (nullStream) AttentionExtendForward(_, _, _, _ kernels.Tensor)                              {}
func (nullStream) AttentionExtendBackward(_, _, _, _, _, _, _ kernels.Tensor)                    {}
func (nullStream) Add(_, _, _, _ kernels.Tensor)                                                 {}
func (nullStream) MSE(_, _, _, _ kernels.Tensor, _ int, _ kernels.Tensor)                        {}
func (nullStream) CrossEntropy(_, _, _, _ kernels.Tensor, _ int, _ kernels.Tensor)               {}
func (nullStream) AdamW(kernels.AdamWArgs)                                                       {}
func (nullStream) FindNonFinite(_, _ kernels.Tensor)                                             {}
func (nullStream) UpdateScale(kernels.Tensor, bool)                                              {}
func (nullStream) RouteForward(kernels.Routing, kernels.Tensor, kernels.Tensor, int)             {}
func (nullStream) RouteBackward(_, _ kernels.Tensor, _ kernels.Routing, _ float64, _ int, _ kernels.Tensor) {
}
func (nullStream) Dispatch(_, _ kernels.Tensor, _ kernels.Routing, _ bool)   {}
func (nullStream) Combine(_, _, _ kernels.Tensor, _ kernels.Routing, _ bool) {}
func (nullStream) GateBackward(_, _, _ kernels.Tensor, _ kernels.Routing)    {}
func (nullStream) Encode(kernels.Weight, kernels.Tensor)                     {}
func (nullStream) Decode(kernels.Tensor, kernels.Weight)                     {}
func (nullStream) Cast(_, _ kernels.Tensor)                                  {}
func (nullStream) Fill(kernels.Tensor, float64)                              {}
func (nullStream) Copy(_, _ kernels.Tensor)                                  {}
func (nullStream) CopyColumns(_, _ kernels.Tensor, _, _, _ int)              {}
func (nullStream) Upload(kernels.Tensor, *tensor.Dense)                      {}
func (nullStream) Download(*tensor.Dense, kernels.Tensor) error              { return nil }
func (nullStream) Record(kernels.Event)                                      {}
func (nullStream) Wait(kernels.Event)                                        {}
func (nullStream) Sync() error                                               { return nil }
func (nullStream) Close() error                                              { return nil }
func (nullStream) Sum(kernels.Tensor, []kernels.Tensor)                      {}

func (nullStream) Do(f func() error) {
	if err := f(); err != nil {
		panic(err)
	}
}
