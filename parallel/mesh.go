package parallel

// Mesh arranges world = DP·TP·PP·EP ranks. The tensor-parallel axis runs fastest, then expert-parallel, then data-parallel, then pipeline: axes that talk more sit on
// nearer ranks. A tensor-parallel rank sums activations four times a block and waits each time, a data-parallel rank sums its gradients once a
// step and can hide it, a stage only hands activations to its neighbour (Narayanan et al., arXiv:2104.04473, section 3,
// takeaways 1 to 3).
type Mesh struct{ DP, TP, PP, EP int }

// Coord is a rank's place on each axis.
type Coord struct{ DP, TP, PP, EP int }

// World is the number of ranks.
func (m Mesh) World() int { return m.DP * m.TP * m.PP * m.EP }

// Coord is the place of a world rank.
func (m Mesh) Coord(rank int) Coord {
	return Coord{TP: rank % m.TP, EP: rank / m.TP % m.EP, DP: rank / m.TP / m.EP % m.DP, PP: rank / m.TP / m.EP / m.DP}
}

// Rank is the world rank at a place.
func (m Mesh) Rank(c Coord) int { return ((c.PP*m.DP+c.DP)*m.EP+c.EP)*m.TP + c.TP }
