package isolate

import "time"

// unnoticed is how long a process of a case may be gone before whoever started it should have noticed: so long that a launcher which does ends the job first.
const unnoticed = 4 * time.Second

// lookForLost is how often a case's processes are looked at.
const lookForLost = 250 * time.Millisecond

// watchLost tells of processes that have been gone for so long. It ends with done.
func watchLost(lost func() string, done <-chan struct{}) <-chan string {
	found := make(chan string, 1)
	go func() {
		tick := time.NewTicker(lookForLost)
		defer tick.Stop()
		var since time.Time
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				names := lost()
				switch {
				case names == "":
					since = time.Time{}
				case since.IsZero():
					since = now
				case now.Sub(since) >= unnoticed:
					found <- names
					return
				}
			}
		}
	}()
	return found
}
