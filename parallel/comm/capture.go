package comm

import (
	"fmt"

	"ofpeak/kernels"
)

// Capturer is a Communicator of a world whose calls can be part of graphs.
type Capturer interface {
	// Capture is kernels.GraphStream's, for all ranks at the same time: f may call this world's communicators, on streams that it makes wait for s first and s wait for at last. All
	// ranks launch their graphs at the same time too, and close them where no rank launches any more. A failure may be a single rank's.
	Capture(s kernels.Stream, f func()) (kernels.Graph, error)
}

// Capture is that of a communicator's Capturer, or of the stream where there is but one rank.
func Capture(c Communicator, s kernels.Stream, f func()) (kernels.Graph, error) {
	if all, ok := As[Capturer](c); ok && c.Size() > 1 {
		return all.Capture(s, f)
	}
	g, ok := s.(kernels.GraphStream)
	switch {
	case c.Size() > 1:
		return nil, fmt.Errorf("%w: these collectives cannot be part of a graph", kernels.ErrUnsupported)
	case !ok:
		return nil, fmt.Errorf("%w: the device has no graphs", kernels.ErrUnsupported)
	}
	return g.Capture(f)
}
