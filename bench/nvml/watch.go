package nvml

import (
	"sync"
	"time"
)

// period of the readings. NVML's own are not renewed much oftener.
const period = 100 * time.Millisecond

// Watch begins to read a GPU's state ten times a second; the function that it returns ends that, with one more reading, and sums up; called again it
// says the same. What takes less than the period is known from that last reading.
func Watch(r Reader) func() Summary {
	w := watch{begin: time.Now(), before: r.Read()}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.add(r.Read())
			case <-quit:
				return
			}
		}
	}()
	return sync.OnceValue(func() Summary {
		close(quit)
		<-done
		last := r.Read()
		w.add(last)
		return w.summary(last, time.Since(w.begin))
	})
}

// watch adds readings up.
type watch struct {
	begin        time.Time
	before       State // whose clock may still be that of an idle GPU
	clock, power mean
	sum          Summary
}

func (w *watch) add(s State) {
	if s.Slowed.bits&idle == 0 {
		w.clock.add(s.ClockMHz)
		w.sum.LeastClockMHz = least(w.sum.LeastClockMHz, s.ClockMHz)
	}
	w.power.add(s.PowerW)
	w.sum.MaxClockMHz = most(w.sum.MaxClockMHz, s.MaxClockMHz)
	w.sum.TemperatureC = most(w.sum.TemperatureC, s.TemperatureC)
	w.sum.MemoryBytes = most(w.sum.MemoryBytes, s.MemoryBytes)
	w.sum.Slowed = w.sum.Slowed.or(s.Slowed)
}

func (w *watch) summary(last State, took time.Duration) Summary {
	s := w.sum
	s.ClockMHz, s.PowerW = w.clock.value(), w.power.value()
	s.setEnergy(w.before.EnergyJ, last.EnergyJ, took)
	return s
}
