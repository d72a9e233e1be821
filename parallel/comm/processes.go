package comm

import "context"

// Processes are those of a job of which this process is one, started together by a launcher such as mpirun.
type Processes interface {
	Rank() int
	Size() int
	// Version names the engine, such as "Open MPI 4.1.4".
	Version() string
	// Connect makes a world of the first so many processes. All processes call it, and wait for each other; those outside of it get nil.
	Connect(ranks int) (Communicator, error)
	// Release frees the communicators of the last Connect. All processes call it. Of an aborted world nothing is freed, since the engine may still hold it.
	Release() error
	// Share gives everyone the first process's bytes. All processes call it; it waits as long as ctx lets it.
	Share(ctx context.Context, b []byte) ([]byte, error)
	// Lost is why the job cannot go on after an abort, or nil: a process that does not answer, or that will not come back from where it is.
	Lost() error
	// Stop leaves the job. All processes call it.
	Stop() error
	// Die ends all processes of the job at once, this one with them, with an exit status.
	Die(status int)
}

// Peers are processes of a job that reach each other by words only; something else moves their data.
type Peers interface {
	Rank() int
	Size() int
	// World begins a world of the first so many processes. All processes call it; those outside of it get nil.
	World(ranks int) (Fate, error)
	// Release, Share, Lost, Stop and Die are those of Processes.
	Release() error
	Share(ctx context.Context, b []byte) ([]byte, error)
	Lost() error
	Stop() error
	Die(status int)
}

// Fate is how the end of a world reaches all of its processes.
type Fate interface {
	// Abort tells them; the first call decides the error.
	Abort(err error)
	// Err is why the world was aborted, in any of them, or nil.
	Err() error
}
