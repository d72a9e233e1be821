//go:build gpu

package main

// #include "calls.h"
import "C"

import "ofpeak/kernels/cuda/driver"

// captured is a graph that is to be made launchable. ptxsim makes both at once, so that it holds the other until then.
type captured struct{ launchable driver.Graph }

func (g *captured) Close() error {
	if g.launchable == nil {
		return nil
	}
	return g.launchable.Close()
}

//export sim_begin_capture
func sim_begin_capture(stream C.uintptr_t) C.int { return on(stream, driver.Stream.BeginCapture) }

//export sim_end_capture
func sim_end_capture(stream C.uintptr_t, graph *C.uintptr_t) C.int {
	return on(stream, func(s driver.Stream) error {
		g, err := s.EndCapture()
		return made(graph, &captured{g}, err)
	})
}

//export sim_record_node
func sim_record_node(stream, event C.uintptr_t) C.int {
	return both(stream, event, driver.Stream.RecordNode)
}

//export sim_instantiate
func sim_instantiate(graph C.uintptr_t, launchable *C.uintptr_t) C.int {
	return on(graph, func(g *captured) error {
		if g.launchable == nil {
			return driver.ErrInvalidValue
		}
		*launchable, g.launchable = give(g.launchable), nil
		return nil
	})
}

//export sim_launch_graph
func sim_launch_graph(launchable, stream C.uintptr_t) C.int {
	return on(launchable, func(g driver.Graph) error {
		s, err := find[driver.Stream](stream)
		if err != nil {
			return err
		}
		return g.Launch(s)
	})
}
