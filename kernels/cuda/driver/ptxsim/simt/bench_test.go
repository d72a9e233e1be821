package simt

import (
	"encoding/binary"
	"testing"
)

func bytesOf(words []uint32) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func wordsOf(b []byte) (words []uint32) {
	for ; len(b) > 0; b = b[4:] {
		words = append(words, binary.LittleEndian.Uint32(b))
	}
	return words
}

// streaming is a launch that runs a loop of a load, a fused product, a store and its address arithmetic, and counts the instructions of its threads.
func streaming(t testing.TB) func() int64 {
	k := mustCompile(t, ".entry k(.param .u64 out) {"+registers+`ld.param.u64 %d1, [out]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
		mul.wide.u32 %d2, %r1, 4; add.s64 %d2, %d2, %d1; mov.u32 %r4, 0; mov.f32 %f1, 0f3F800001; head: ld.global.f32 %f2, [%d2]; fma.rn.f32 %f2, %f2, %f1, %f1; st.global.f32 [%d2], %f2;
		add.s32 %r4, %r4, 1; setp.lt.s32 %p1, %r4, 100; @%p1 bra head; }`)
	m := NewMemory(1<<40, 1<<30)
	out := upload(t, m, make([]byte, 4*64*256))
	return func() int64 {
		s, err := k.Run(m, Launch{Grid: [3]int{64, 1, 1}, Block: [3]int{256, 1, 1}, Params: []uint64{out}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s.ThreadInstructions
	}
}

func BenchmarkInterpreter(b *testing.B) {
	run, total := streaming(b), int64(0)
	for b.Loop() {
		total += run()
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds()/1e6, "M-thread-instr/s")
}
