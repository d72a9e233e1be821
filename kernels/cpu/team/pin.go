package team

import "runtime"

// Pin locks the calling goroutine to its thread and the thread to a core. It
// lasts until the goroutine ends. Other systems than Linux have no pinning:
// there Pin only locks the thread.
func Pin(core int) error {
	if core < 0 {
		panic("team: negative core")
	}
	runtime.LockOSThread()
	return setAffinity(core)
}
