//go:build !linux

package team

import "sync"

// Bell wakes goroutines that sleep until it rings.
type Bell struct {
	mu    sync.Mutex
	rung  sync.Cond
	rings uint32
}

// Rings counts how often the bell has rung.
func (b *Bell) Rings() uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rings
}

// Wait sleeps until the bell has rung more often than rings says.
func (b *Bell) Wait(rings uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung.L = &b.mu
	for b.rings == rings {
		b.rung.Wait()
	}
}

// Ring wakes all who sleep.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rings++
	b.rung.Broadcast()
}
