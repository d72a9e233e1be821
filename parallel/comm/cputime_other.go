//go:build !unix

package comm

import "time"

// ProcessTime is the processor time that this process has used; false where the system does not tell.
func ProcessTime() (time.Duration, bool) { return 0, false }
