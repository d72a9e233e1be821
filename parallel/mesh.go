package parallel

// Mesh arranges world = DP·TP·PP·EP·CP ranks. The tensor-parallel axis runs fastest, then context-parallel, then expert-parallel, then data-parallel, then
// pipeline: axes that talk more sit on nearer ranks. A tensor-parallel rank sums activations four times a block and waits each time, a context-parallel rank
// hands keys and values on beside its attention, a data-parallel rank sums its gradients once a
// step and can hide it, a stage only hands activations to its neighbour (Narayanan et al., arXiv:2104.04473, section 3,
// takeaways 1 to 3).
type Mesh struct{ DP, TP, PP, EP, CP int }

// Coord is a rank's place on each axis.
type Coord struct{ DP, TP, PP, EP, CP int }

// World is the number of ranks.
func (m Mesh) World() int { return m.DP * m.TP * m.PP * m.EP * m.CP }

// Coord is the place of a world rank.
func (m Mesh) Coord(rank int) Coord {
	next := func(size int) int {
		at := rank % size
		rank /= size
		return at
	}
	return Coord{TP: next(m.TP), CP: next(m.CP), EP: next(m.EP), DP: next(m.DP), PP: rank}
}

// Rank is the world rank at a place.
func (m Mesh) Rank(c Coord) int { return (((c.PP*m.DP+c.DP)*m.EP+c.EP)*m.CP+c.CP)*m.TP + c.TP }
