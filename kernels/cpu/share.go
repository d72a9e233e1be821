package cpu

// shared is work that a stream splits over its workers. part does the share of one; it runs concurrently with the others.
type shared interface {
	part(s *Stream, worker, workers int)
}

// grain is the number of elements below which forking costs more than it saves.
const grain = 4096

// share runs w on all workers, or on the stream's goroutine alone where size, the number of elements touched, is small.
func (s *Stream) share(w shared, size int) {
	if s.team.Size() == 1 || size < grain {
		s.arenas[0].reset()
		w.part(s, 0, 1)
		return
	}
	s.current = w
	s.team.Run(s)
	s.current = nil
}

// Part makes the stream a team.Body.
func (s *Stream) Part(worker, workers int) {
	s.arenas[worker].reset()
	s.current.part(s, worker, workers)
}

// workers is the number of parts that share makes for work of a size.
func (s *Stream) workers(size int) int {
	if s.team.Size() == 1 || size < grain {
		return 1
	}
	return s.team.Size()
}

// span is a worker's share of n items.
func span(n, worker, workers int) (lo, hi int) {
	return n * worker / workers, n * (worker + 1) / workers
}

// line is the number of float32 in a cache line.
const line = 16

// spanLines is span in whole cache lines, so that workers do not write to the same one.
func spanLines(n, worker, workers int) (lo, hi int) {
	lo, hi = span((n+line-1)/line, worker, workers)
	return min(lo*line, n), min(hi*line, n)
}

// padded is n rounded up to whole cache lines.
func padded(n int) int { return roundUp(n, line) }

// partials are sums that each worker made of its share of the rows.
type partials struct {
	total []float32
	parts []float32 // one for each worker, pitch apart
	count int
	pitch int
}

// sumParts adds partial sums to a total, in the order of the workers that made them.
func (s *Stream) sumParts(total, parts []float32, count, pitch int) {
	s.partials = partials{total, parts, count, pitch}
	s.share(&s.partials, len(total)*count)
}

func (c *partials) part(s *Stream, worker, workers int) {
	lo, hi := spanLines(len(c.total), worker, workers)
	total := c.total[lo:hi]
	for p := range c.count {
		s.set.Add(total, total, c.parts[p*c.pitch+lo:p*c.pitch+hi])
	}
}
