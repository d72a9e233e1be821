package local_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
)

// BenchmarkAllReduce reports nccl-tests' bandwidths of an in-place all-reduce between CPU ranks of one thread each.
func BenchmarkAllReduce(b *testing.B) {
	for _, ranks := range []int{2, 4} {
		for _, n := range []int{256, 16 << 10, 1 << 20, 8 << 20} {
			b.Run(fmt.Sprintf("ranks=%d/bytes=%d", ranks, n*4), func(b *testing.B) {
				var wg sync.WaitGroup
				for _, c := range local.New(ranks) {
					wg.Go(func() { allReduceLoop(b, c, n) })
				}
				wg.Wait()
				alg, bus := comm.Bandwidth(comm.AllReduce, ranks, int64(n)*4, b.Elapsed()/time.Duration(b.N))
				b.ReportMetric(alg/1e9, "algGB/s")
				b.ReportMetric(bus/1e9, "busGB/s")
			})
		}
	}
}

func allReduceLoop(b *testing.B, c comm.Communicator, n int) {
	dev, err := cpu.New(cpu.Config{Threads: 1})
	if err != nil {
		b.Error(err)
		return
	}
	defer dev.Close()
	s, err := dev.NewStream()
	if err != nil {
		b.Error(err)
		return
	}
	defer s.Close()
	buf, err := dev.Alloc(kernels.F32, n)
	if err != nil {
		b.Error(err)
		return
	}
	defer buf.Free()
	x := kernels.Of(buf, n)
	c.AllReduce(s, x, x)
	c.Barrier(s)
	if err := s.Sync(); err != nil {
		b.Error(err)
		return
	}
	if c.Rank() == 0 {
		b.ResetTimer()
	}
	for i := range b.N {
		c.AllReduce(s, x, x)
		if i%16 == 15 || i == b.N-1 {
			if err := s.Sync(); err != nil {
				b.Error(err)
			}
		}
	}
}
