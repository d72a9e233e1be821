//go:build !linux

package main

// unbind does nothing: this system binds no processes to cores.
func unbind() {}
