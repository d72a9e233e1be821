package simt

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

const head = ".version 7.8\n.target sm_80\n.address_size 64\n"

// mustCompile compiles a module of one kernel.
func mustCompile(t testing.TB, text string) *Kernel {
	t.Helper()
	k, err := compileText(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func compileText(text string) (*Kernel, error) {
	m, err := ptx.Parse(head + text)
	if err != nil {
		return nil, err
	}
	ks, err := Compile(m, nil)
	if err != nil {
		return nil, err
	}
	return ks[m.Kernels[0].Name], nil
}

// upload allocates memory that holds b.
func upload(t testing.TB, m *Memory, b []byte) uint64 {
	t.Helper()
	p, err := m.Alloc(int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(p, b); err != nil {
		t.Fatal(err)
	}
	return p
}

// evalCode wraps instructions on operands: %r0 to %r3 (32 bits), %d0 to %d3 (64) and %h0 to %h3 (16), of which 1 to 3 hold inputs and 0 starts with ones; %p0 to
// %p3, of which %p1 to %p3 hold the inputs' lowest bits. Result is one of these registers' names.
func evalCode(code, result string) string {
	var b strings.Builder
	b.WriteString(`.entry k(.param .u64 in, .param .u64 out) {
.reg .b16 %h<8>; .reg .b32 %r<40>; .reg .b64 %d<8>; .reg .pred %p<8>; .reg .b64 %at<4>; .reg .b32 %id;
ld.param.u64 %at0, [in]; ld.param.u64 %at1, [out];
mov.u32 %id, %tid.x; mul.wide.u32 %at2, %id, 32; add.s64 %at0, %at0, %at2; mul.wide.u32 %at2, %id, 8; add.s64 %at1, %at1, %at2;
`)
	for i := range 4 {
		fmt.Fprintf(&b, "ld.global.b64 %%d%d, [%%at0+%d]; cvt.u32.u64 %%r%d, %%d%d; cvt.u16.u64 %%h%d, %%d%d; and.b64 %%at3, %%d%d, 1; setp.ne.u64 %%p%d, %%at3, 0;\n",
			i, 8*i, i, i, i, i, i, i)
	}
	b.WriteString(code + "\n")
	switch result[1] {
	case 'h':
		fmt.Fprintf(&b, "cvt.u64.u16 %%d7, %s;", result)
	case 'r':
		fmt.Fprintf(&b, "cvt.u64.u32 %%d7, %s;", result)
	case 'p':
		fmt.Fprintf(&b, "selp.u64 %%d7, 1, 0, %s;", result)
	default:
		fmt.Fprintf(&b, "mov.b64 %%d7, %s;", result)
	}
	b.WriteString("st.global.b64 [%at1], %d7; }")
	return b.String()
}

// eval runs instructions once for each row of inputs.
func eval(t testing.TB, code, result string, rows [][3]uint64) []uint64 {
	t.Helper()
	k := mustCompile(t, evalCode(code, result))
	m := NewMemory(1<<40, 1<<30)
	in := make([]byte, 0, 32*len(rows))
	for _, r := range rows {
		in = binary.LittleEndian.AppendUint64(in, ^uint64(0))
		for _, v := range r {
			in = binary.LittleEndian.AppendUint64(in, v)
		}
	}
	from, to := upload(t, m, in), upload(t, m, make([]byte, 8*len(rows)))
	for at := 0; at < len(rows); at += 1024 {
		n := min(1024, len(rows)-at)
		params := []uint64{from + uint64(32*at), to + uint64(8*at)}
		if _, err := k.Run(m, Launch{Grid: [3]int{1, 1, 1}, Block: [3]int{n, 1, 1}, Params: params}, Options{}); err != nil {
			t.Fatalf("%s: %v", code, err)
		}
	}
	b := make([]byte, 8*len(rows))
	if err := m.Read(b, to); err != nil {
		t.Fatal(err)
	}
	out := make([]uint64, len(rows))
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return out
}

func f32(x float64) uint64 { return uint64(math.Float32bits(float32(x))) }
func f64(x float64) uint64 { return math.Float64bits(x) }
func neg(x int64) uint64   { return uint64(-x) }
func neg32(x int64) uint64 { return uint64(uint32(-x)) }

const (
	nan   = 0x7fc00001
	inf   = 0x7f800000
	ninf  = 0xff800000
	tiny  = 1          // the smallest subnormal float32
	nzero = 0x80000000 // -0
)

// Results as the ISA's text gives them. Code ends at the first blank-separated result register, its destination.
type opTest struct {
	code    string
	a, b, c uint64
	want    uint64
}

// result is the register that an instruction writes.
func (o opTest) result() string {
	dst := strings.Fields(o.code)[1]
	return strings.TrimRight(strings.Split(dst, "|")[0], ",;")
}

func runOps(t *testing.T, tests []opTest) {
	t.Helper()
	for _, o := range tests {
		if got := eval(t, o.code, o.result(), [][3]uint64{{o.a, o.b, o.c}})[0]; got != o.want {
			t.Errorf("%s of %#x, %#x, %#x: got %#x, want %#x", o.code, o.a, o.b, o.c, got, o.want)
		}
	}
}
