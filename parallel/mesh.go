package parallel

// Mesh arranges world = DP·TP·PP ranks. The tensor-parallel axis runs fastest, then data-parallel, then pipeline: axes that talk more sit on
// nearer ranks. A tensor-parallel rank sums activations four times a block and waits each time, a data-parallel rank sums its gradients once a
// step and can hide it, a stage only hands activations to its neighbour (Narayanan et al., arXiv:2104.04473, section 3,
// takeaways 1 to 3).
type Mesh struct{ DP, TP, PP int }

// Coord is a rank's place on each axis.
type Coord struct{ DP, TP, PP int }

// World is the number of ranks.
func (m Mesh) World() int { return m.DP * m.TP * m.PP }

// Coord is the place of a world rank.
func (m Mesh) Coord(rank int) Coord {
	return Coord{TP: rank % m.TP, DP: rank / m.TP % m.DP, PP: rank / m.TP / m.DP}
}

// Rank is the world rank at a place.
func (m Mesh) Rank(c Coord) int { return (c.PP*m.DP+c.DP)*m.TP + c.TP }
