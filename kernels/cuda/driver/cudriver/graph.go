//go:build gpu

package cudriver

// #include <cuda.h>
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"ofpeak/kernels/cuda/driver"
)

// raw is the stream as C has it.
func (s *stream) raw() C.CUstream { return *(*C.CUstream)(unsafe.Pointer(&s.handle)) }

// BeginCapture lets other threads allocate and wait meanwhile, for other ranks' sake. CUDA then wants the capture to end on the thread on which it began.
func (s *stream) BeginCapture() error {
	runtime.LockOSThread()
	err := s.do("BeginCapture", func() error { return result(C.cuStreamBeginCapture(s.raw(), C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)) })
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	s.capturing = true
	return nil
}

func (s *stream) EndCapture() (driver.Graph, error) {
	if !s.capturing {
		return nil, fmt.Errorf("cudriver: EndCapture: %w", driver.ErrCaptureUnmatched)
	}
	s.capturing = false
	defer runtime.UnlockOSThread()
	var captured C.CUgraph
	if err := s.do("EndCapture", func() error { return result(C.cuStreamEndCapture(s.raw(), &captured)) }); err != nil {
		return nil, err
	}
	g := &graph{context: s.context}
	err := s.do("Instantiate", func() error {
		return errors.Join(result(C.cuGraphInstantiateWithFlags(&g.handle, captured, 0)), result(C.cuGraphDestroy(captured)))
	})
	if err != nil {
		return nil, err
	}
	s.context.give(g, "graph")
	return g, nil
}

// RecordNode is cuEventRecordWithFlags with CU_EVENT_RECORD_EXTERNAL, which cu lacks.
func (s *stream) RecordNode(e driver.Event) error {
	ev, ok := e.(*event)
	if !ok || ev.context != s.context {
		return fmt.Errorf("cudriver: RecordNode: an event of another context: %w", driver.ErrInvalidHandle)
	}
	if err := ev.context.holds("RecordNode", ev); err != nil {
		return err
	}
	handle := *(*C.CUevent)(unsafe.Pointer(&ev.handle))
	return s.do("RecordNode", func() error { return result(C.cuEventRecordWithFlags(handle, s.raw(), C.CU_EVENT_RECORD_EXTERNAL)) })
}

// graph implements driver.Graph by a graph that can be launched; that from which it was made is not kept.
type graph struct {
	context *context
	handle  C.CUgraphExec
}

func (g *graph) Launch(on driver.Stream) error {
	s, ok := on.(*stream)
	if !ok || s.context != g.context {
		return fmt.Errorf("cudriver: Launch of a graph on a stream of another context: %w", driver.ErrInvalidHandle)
	}
	if err := g.context.holds("Launch of a graph", g); err != nil {
		return err
	}
	return s.do("Launch of a graph", func() error { return result(C.cuGraphLaunch(g.handle, s.raw())) })
}

// Close leaves launches that are under way to end by themselves.
func (g *graph) Close() error {
	return g.context.release("Graph.Close", g, func() error { return result(C.cuGraphExecDestroy(g.handle)) })
}
