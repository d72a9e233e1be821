package cpu

import "sync"

// pools keep the commands of each kind for reuse.
type pools struct {
	record               pool[record, *record]
	wait                 pool[wait, *wait]
	do                   pool[do, *do]
	upload               pool[upload, *upload]
	download             pool[download, *download]
	fill                 pool[fill, *fill]
	copy                 pool[copyOp, *copyOp]
	copyColumns          pool[copyColumns, *copyColumns]
	cast                 pool[cast, *cast]
	add                  pool[add, *add]
	embeddingForward     pool[embeddingForward, *embeddingForward]
	embeddingBackward    pool[embeddingBackward, *embeddingBackward]
	linearForward        pool[linearForward, *linearForward]
	linearBackwardInput  pool[linearBackwardInput, *linearBackwardInput]
	linearBackwardWeight pool[linearBackwardWeight, *linearBackwardWeight]
	layerNormForward     pool[layerNormForward, *layerNormForward]
	layerNormBackward    pool[layerNormBackward, *layerNormBackward]
	attentionForward     pool[attentionForward, *attentionForward]
	attentionBackward    pool[attentionBackward, *attentionBackward]
	mse                  pool[mse, *mse]
	crossEntropy         pool[crossEntropy, *crossEntropy]
	adamW                pool[adamW, *adamW]
	findNonFinite        pool[findNonFinite, *findNonFinite]
	updateScale          pool[updateScale, *updateScale]
	routeForward         pool[routeForward, *routeForward]
	routeBackward        pool[routeBackward, *routeBackward]
	dispatch             pool[dispatch, *dispatch]
	combine              pool[combine, *combine]
	gateBackward         pool[gateBackward, *gateBackward]
	encode               pool[encode, *encode]
	decode               pool[decode, *decode]
}

// pointer says that *T is a command.
type pointer[T any] interface {
	*T
	command
}

// pool is a free list. The caller of the stream takes, the stream's goroutine gives back.
type pool[T any, P pointer[T]] struct {
	mu   sync.Mutex
	free []P
}

type recycler interface{ recycle(command) }

func (p *pool[T, P]) get() P {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.free)
	if n == 0 {
		return new(T)
	}
	c := p.free[n-1]
	p.free = p.free[:n-1]
	return c
}

func (p *pool[T, P]) recycle(c command) {
	own := c.(P)
	*own = *new(T) // holds no buffer alive
	p.mu.Lock()
	p.free = append(p.free, own)
	p.mu.Unlock()
}

func enqueue[T any, P pointer[T]](s *Stream, p *pool[T, P], v T) {
	c := p.get()
	*c = v
	s.put(entry{cmd: c, home: p})
}

func enqueueAlways[T any, P pointer[T]](s *Stream, p *pool[T, P], v T) {
	c := p.get()
	*c = v
	s.put(entry{cmd: c, home: p, always: true})
}
