//go:build !unix

package validity

// involuntarySwitches is not known on this system.
func involuntarySwitches() (int64, bool) { return 0, false }
