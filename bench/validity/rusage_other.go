//go:build !unix

package validity

// usage is not known on this system.
func usage() (switches, ns int64, ok bool) { return 0, 0, false }
