package driver

// Collectives is a library of collectives between devices, of one process or several: NCCL on real GPUs.
type Collectives interface {
	// Library is its name and version.
	Library() string
	// NewID makes the name of a group that is to be joined. All its ranks are given these bytes, of whatever process they are.
	NewID() ([]byte, error)
	// Join makes a group of so many ranks. This call brings those of the seats, and waits for the others, which other processes bring. Where one of the
	// seats fails, all do.
	Join(id []byte, ranks int, seats []Seat) ([]Group, error)
	// Split makes one group for each color out of the ranks of a group, ordered by key and then by rank. This call brings the parts of this process's ranks,
	// and waits for the others. A rank with a negative color gets nil.
	Split(parts []Part) ([]Group, error)
}

// Seat is a rank's place in a group that is joined.
type Seat struct {
	Rank    int
	Context Context
}

// Part is what a rank of a group asks for when that is split.
type Part struct {
	Group      Group
	Color, Key int
}

// Group is one rank's end of a group of devices. Its ranks make the same calls in the same order, but for Send and Recv, of which each meets its counterpart.
type Group interface {
	Rank() int
	Size() int
	// Enqueue puts calls on a stream of the rank's context, all under way at once; of a kind other than Send and Recv there is one. It may wait for the other
	// ranks to make the same call, as NCCL does where it first connects them.
	Enqueue(s Stream, calls ...Collective) error
	// Err is a failure of the group that no call has told: of a link, or of another process.
	Err() error
	// Abort ends the group and its work on the device, whatever that waits for, also a call in another goroutine. Later calls fail.
	Abort() error
	// Close releases the group, whose work has ended. All ranks call it. After an Abort there is nothing left to release.
	Close() error
}

// CollectiveOp is a kind of collective.
type CollectiveOp int32

const (
	AllReduce     CollectiveOp = iota // Dst (N) = Σ over ranks of Src (N)
	ReduceScatter                     // Dst (N) = this rank's part of Σ over ranks of Src (ranks·N)
	AllGather                         // part r of Dst (ranks·N) = Src (N) of rank r
	Broadcast                         // Dst (N) = Src (N) of rank Peer
	Send                              // Src (N) goes to rank Peer
	Recv                              // Dst (N) = what rank Peer sends
)

var opNames = [...]string{"AllReduce", "ReduceScatter", "AllGather", "Broadcast", "Send", "Recv"}

// String is the name.
func (o CollectiveOp) String() string { return opNames[o] }

// Collective is one call of a Group. Dst and Src may be the same memory as NCCL allows: in AllReduce and Broadcast all of it, in ReduceScatter Dst may be this
// rank's part of Src, in AllGather Src its part of Dst.
type Collective struct {
	Op       CollectiveOp
	Dst, Src Ptr
	N        int // elements, as said at each Op
	Type     Type
	Peer     int
}
