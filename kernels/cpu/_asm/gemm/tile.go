package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// ahead is how many bytes before their use the units of B are fetched into L1.
const ahead = 3072

// panel is the number of rows in a packed panel of A.
const panel = 8

// tile describes one register tile: rows by vectors accumulators.
type tile struct {
	name    string
	isa     isa
	vectors int
	float   bool
	started bool   // the first row of B is what the sums start at
	doc     string // the product of two units, as Go
	mac     func(a, b, acc reg.VecPhysical)
	macMem  func(a Mem, b, acc reg.VecPhysical) // the same for a in memory, for tiles of one vector
	inPlace bool                                // A is not packed: its rows run along K
	flipped bool                                // 128 is added to each int8 of A
	rounds  bool                                // C is bfloat16
}

// isa is a vector length and how many rows of A fit its registers.
type isa struct {
	suffix string
	lanes  int
	rows   int
	vec    func(i int) reg.VecPhysical
}

var (
	zmm = isa{"Z", 16, 8, func(i int) reg.VecPhysical { return zmms[i] }}
	ymm = isa{"Y", 8, 4, func(i int) reg.VecPhysical { return ymms[i] }}
)

var (
	zmms = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	xmms = []reg.VecPhysical{
		reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
		reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
		reg.X16, reg.X17, reg.X18, reg.X19, reg.X20, reg.X21, reg.X22, reg.X23,
		reg.X24, reg.X25, reg.X26, reg.X27, reg.X28, reg.X29, reg.X30, reg.X31,
	}
	ymms = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
		reg.Y16, reg.Y17, reg.Y18, reg.Y19, reg.Y20, reg.Y21, reg.Y22, reg.Y23,
		reg.Y24, reg.Y25, reg.Y26, reg.Y27, reg.Y28, reg.Y29, reg.Y30, reg.Y31,
	}
)

// pairs is the product of units of bfloat16.
const pairs = "a.lo*b.lo + a.hi*b.hi (bfloat16 pairs)"

func tiles() {
	fma := func(a, b, acc reg.VecPhysical) { VFMADD231PS(b, a, acc) }
	bf16 := func(a, b, acc reg.VecPhysical) { evex.VDPBF16PS(b, a, acc) }
	vnni := func(a, b, acc reg.VecPhysical) { VPDPBUSD(b, a, acc) }
	madd := func(a, b, acc reg.VecPhysical) {
		VPMADDWD(b, a, reg.Y0)
		VPADDD(reg.Y0, acc, acc)
	}
	fmaMem := func(a Mem, b, acc reg.VecPhysical) { VFMADD231PS_BCST(a, b, acc) }
	bf16Mem := func(a Mem, b, acc reg.VecPhysical) { evex.VDPBF16PSBroadcast(a, b, acc) }
	maskTable()
	for v := 1; v <= 3; v++ {
		for _, inPlace := range []bool{false, true} {
			t := tile{name: "F32", isa: zmm, vectors: v, float: true, doc: "a*b", mac: fma, macMem: fmaMem, inPlace: inPlace}
			t.generate()
			t = tile{name: "BF16", isa: zmm, vectors: v, float: true, doc: pairs, mac: bf16, macMem: bf16Mem, inPlace: inPlace}
			t.generate()
			t.rounds = true
			t.generate()
		}
		t := tile{name: "I8", isa: zmm, vectors: v, started: true, doc: "the sum of four uint8(a)*int8(b)", mac: vnni}
		t.generate()
		t.inPlace, t.flipped, t.doc = true, true, "the sum of four uint8(a+128)*int8(b)"
		t.generate()
		tile{name: "F32", isa: ymm, vectors: v, float: true, doc: "a*b", mac: fma}.generate()
		tile{name: "I16", isa: ymm, vectors: v, doc: "a.lo*b.lo + a.hi*b.hi (int16 pairs)", mac: madd}.generate()
	}
}

// maskTable holds eight set and eight clear words: a load at (8-t)*4 masks t lanes.
func maskTable() {
	GLOBL("lanemask", RODATA|NOPTR)
	for i := 0; i < 16; i++ {
		v := uint32(0)
		if i < 8 {
			v = 0xffffffff
		}
		DATA(4*i, U32(v))
	}
}

// Registers that every tile uses.
var (
	rSeg, rSegs = reg.RBX, reg.RCX // the next segment, and how many are left
	rA, rAk     = reg.RSI, reg.R8  // A's panel, and the place in it
	rB          = reg.RDI
	rC, rLdc    = reg.RDX, reg.R9
	rRows       = reg.R10
	rK, rLeft   = reg.R13, reg.RAX // units in a segment, and how many are left
	rTmp, rCols = reg.R11, reg.R12
	rA4         = reg.R11 // for A in place: row 4, and the distances to the next row
	rLda, rLda3 = reg.R9, reg.R10
)

// fetches is the walk of the tiles, while they multiply units.
var fetches = walk{state: reg.R12, at: reg.R14, left: reg.R15}

func (t tile) generate() {
	t.header()
	t.loadArgs()
	if t.inPlace {
		Load(Param("lda"), rLda)
		LEAQ(Mem{Base: rLda, Index: rLda, Scale: 2}, rLda3)
	}
	t.begin()
	t.loop()
	t.store()
	if t.isa.lanes == 8 || t.isa.lanes == 16 {
		VZEROUPPER()
	}
	RET()
}

func (t tile) header() {
	name, a, lda := fmt.Sprintf("tile%s%s%d", t.name, t.isa.suffix, t.vectors), fmt.Sprintf("a[seg[s]/4+u*%d+i]", panel), ""
	if t.inPlace {
		name, a, lda = "rows"+name[4:], "a[i*lda/4+seg[s]/4+u]", "lda int, "
	}
	result := "if add != 0 { c[i*ldc+j] += acc } else { c[i*ldc+j] = acc }"
	if t.rounds {
		name, result = name[:4]+"Rounded"+name[4:], "c[i*ldc+j] = bfloat16(acc), with zero for subnormal numbers"
	}
	elem := map[bool]string{true: "float32", false: "int32"}[t.float]
	width := t.vectors * t.isa.lanes
	start, above := "", ""
	if t.started {
		start, above = " = b[j]", "1+"
	}
	TEXT(name, NOSPLIT, "func(k, segs int, seg, a *uint32, "+lda+"b, c *uint32, ldc, rows, cols, add int, walk *uintptr)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s computes, for 0 <= i < min(rows, %d) and 0 <= j < cols <= %d:", name, t.isa.rows, width),
		"",
		fmt.Sprintf("\tvar acc %s%s", elem, start),
		"\tfor s := range segs {",
		"\t\tfor u := range k {",
		fmt.Sprintf("\t\t\tacc += dot(%s, b[(%ss*k+u)*%d+j])", a, above, width),
		"\t\t}",
		"\t}",
		"\t"+result,
		"",
		"where dot of two units is "+t.doc+", and fetches a line for each unit but the last,",
		"which ask for C instead.",
	)
}

func (t tile) loadArgs() {
	Load(Param("k"), rK)
	Load(Param("segs"), rSegs)
	Load(Param("seg"), rSeg)
	Load(Param("a"), rA)
	Load(Param("b"), rB)
	Load(Param("c"), rC)
	Load(Param("walk"), fetches.state)
	fetches.begin()
	t.loadTarget()
}

// loadTarget loads what is needed for C only.
func (t tile) loadTarget() {
	t.loadStride(rLdc)
	Load(Param("rows"), rRows)
}

// loadStride loads the distance of C's rows, in bytes.
func (t tile) loadStride(r reg.GPPhysical) {
	Load(Param("ldc"), r)
	SHLQ(U8(uint8(t.size()/2)), r)
}

// size returns the bytes of an element of C: two or four.
func (t tile) size() int {
	if t.rounds {
		return 2
	}
	return 4
}

// acc is the accumulator of row r and vector v; the lowest registers stay free
// for operands.
func (t tile) acc(r, v int) reg.VecPhysical {
	first := map[int]int{16: 8, 8: 4}[t.isa.lanes]
	return t.isa.vec(first + r*t.vectors + v)
}

// begin sets the sums to what they start at: zero, or the first row of B.
func (t tile) begin() {
	if t.flipped {
		VBROADCASTSS(flip, t.signs())
	}
	if t.started {
		for v := 0; v < t.vectors; v++ {
			t.load(Mem{Base: rB, Disp: 4 * v * t.isa.lanes}, t.acc(0, v))
			for r := 1; r < t.isa.rows; r++ {
				VMOVAPS(t.acc(0, v), t.acc(r, v))
			}
		}
		ADDQ(U32(uint32(4*t.vectors*t.isa.lanes)), rB)
		return
	}
	for r := 0; r < t.isa.rows; r++ {
		for v := 0; v < t.vectors; v++ {
			acc := t.acc(r, v)
			if t.isa.lanes == 16 {
				VPXORD(acc, acc, acc)
			} else {
				VXORPS(acc, acc, acc)
			}
		}
	}
}

// loop walks the segments, and the units within each. The last units of all ask for the
// tile of C, row by row: it was last used a whole sweep ago, and would not stay in L1
// for longer.
func (t tile) loop() {
	TESTQ(rSegs, rSegs)
	JZ(LabelRef("stored"))
	Label("segment")
	MOVL(Mem{Base: rSeg}, rAk.As32())
	ADDQ(U8(4), rSeg)
	ADDQ(rA, rAk)
	if t.inPlace {
		LEAQ(Mem{Base: rAk, Index: rLda, Scale: 4}, rA4)
	}
	MOVQ(rK, rLeft)
	DECQ(rSegs)
	JNZ(LabelRef("unit"))
	SUBQ(U8(uint8(t.isa.rows)), rLeft)
	JG(LabelRef("unit"))
	MOVQ(rK, rLeft)
	Label("unit")
	t.step()
	t.prefetch()
	fetches.fetch("fetched")
	t.advance()
	JNZ(LabelRef("unit"))
	TESTQ(rSegs, rSegs)
	JNZ(LabelRef("segment"))
	fetches.end()
	CMPQ(rK, U8(uint8(t.isa.rows)))
	JLE(LabelRef("stored"))
	t.last()
	Label("stored")
}

// last multiplies as many units as there are rows, and asks for a row of C in each.
func (t tile) last() {
	row, ldc := fetches.at, fetches.left
	MOVQ(rC, row)
	t.loadStride(ldc)
	MOVQ(U32(uint32(t.isa.rows)), rLeft)
	Label("last")
	t.step()
	t.prefetch()
	for line := 0; line*64 < t.vectors*t.isa.lanes*t.size(); line++ {
		PREFETCHT0(Mem{Base: row, Disp: 64 * line})
	}
	ADDQ(ldc, row)
	t.advance()
	JNZ(LabelRef("last"))
}

// prefetch asks for the units of B some way ahead.
func (t tile) prefetch() {
	for v := 0; v < t.vectors; v++ {
		PREFETCHT0(Mem{Base: rB, Disp: ahead + 4*v*t.isa.lanes})
	}
}

// advance moves on to the next unit; the flags are zero's after the last.
func (t tile) advance() {
	if t.inPlace {
		ADDQ(U8(4), rAk)
		ADDQ(U8(4), rA4)
	} else {
		ADDQ(U8(4*panel), rAk)
	}
	ADDQ(U32(uint32(4*t.vectors*t.isa.lanes)), rB)
	DECQ(rLeft)
}

// step multiplies one unit of K: every row's unit of A by all vectors of B. The
// int16 product needs a register for its sums, so there B stays in memory order
// but is loaded anew for each row.
func (t tile) step() {
	if t.vectors == 1 && t.macMem != nil {
		t.narrowStep()
		return
	}
	spare := 1 // register 0 is the madd's temporary
	for v := 0; v < t.vectors && t.name != "I16"; v++ {
		t.load(Mem{Base: rB, Disp: 4 * v * t.isa.lanes}, t.isa.vec(spare+v))
	}
	for r := 0; r < t.isa.rows; r++ {
		a := t.isa.vec(0)
		if t.name == "I16" {
			a = t.isa.vec(1)
		}
		t.broadcast(t.unit(r), a)
		for v := 0; v < t.vectors; v++ {
			b := t.isa.vec(spare + v)
			if t.name == "I16" {
				b = t.isa.vec(2 + v%2)
				t.load(Mem{Base: rB, Disp: 4 * v * t.isa.lanes}, b)
			}
			t.mac(a, b, t.acc(r, v))
		}
	}
}

// narrowStep is the step of one vector. Zen 4 executes a multiply-add that
// broadcasts its operand from memory every cycle, but a broadcast and a
// multiply-add apart only every 1.33.
func (t tile) narrowStep() {
	t.load(Mem{Base: rB}, t.isa.vec(0))
	for r := 0; r < t.isa.rows; r++ {
		t.macMem(t.unit(r), t.isa.vec(0), t.acc(r, 0))
	}
}

// unit is where the unit of A of a row lies.
func (t tile) unit(row int) Mem {
	if !t.inPlace {
		return Mem{Base: rAk, Disp: 4 * row}
	}
	base := []reg.Register{rAk, rA4}[row/4]
	return []Mem{
		{Base: base}, {Base: base, Index: rLda, Scale: 1},
		{Base: base, Index: rLda, Scale: 2}, {Base: base, Index: rLda3, Scale: 1},
	}[row%4]
}

func (t tile) load(m Mem, v reg.VecPhysical) { VMOVUPS(m, v) }

// broadcast loads a unit of A into every lane.
func (t tile) broadcast(m Mem, v reg.VecPhysical) {
	if t.flipped {
		VPXORD_BCST(m, t.signs(), v)
	} else {
		VBROADCASTSS(m, v)
	}
}

// signs holds what turns an int8 into a uint8, 128 higher.
func (t tile) signs() reg.VecPhysical { return t.isa.vec(4) }

// store writes the rows that exist, adding to C or not, the last vector masked.
func (t tile) store() {
	if t.inPlace {
		t.loadTarget()
	}
	Load(Param("cols"), rCols)
	SUBQ(U8(uint8((t.vectors-1)*t.isa.lanes)), rCols)
	t.mask()
	if !t.rounds {
		Load(Param("add"), rTmp)
		TESTQ(rTmp, rTmp)
		JNZ(LabelRef("add"))
	}
	t.storeRows(false)
	if !t.rounds {
		Label("add")
		t.storeRows(true)
	}
	Label("done")
}

// mask turns the number of lanes of the last vector, in rCols, into a mask: in
// K1, or in the register that holds B's first vector.
func (t tile) mask() {
	if t.isa.lanes == 16 {
		MOVQ(I32(-1), rTmp)
		BZHIQ(rCols, rTmp, rTmp)
		KMOVW(rTmp.As32(), reg.K1)
		return
	}
	table := NewDataAddr(NewStaticSymbol("lanemask"), 0)
	LEAQ(table, rTmp)
	NEGQ(rCols)
	VMOVUPS(Mem{Base: rTmp, Index: rCols, Scale: 4, Disp: 32}, reg.Y1)
}

func (t tile) storeRows(add bool) {
	for r := 0; r < t.isa.rows; r++ {
		for v := 0; v < t.vectors; v++ {
			m := Mem{Base: rC, Disp: t.size() * v * t.isa.lanes}
			if t.rounds {
				t.storeRounded(m, t.acc(r, v), v+1 == t.vectors)
			} else if v+1 < t.vectors {
				t.storeFull(m, t.acc(r, v), add)
			} else {
				t.storeMasked(m, t.acc(r, v), add)
			}
		}
		if r+1 < t.isa.rows {
			DECQ(rRows)
			JZ(LabelRef("done"))
			ADDQ(rLdc, rC)
		}
	}
	JMP(LabelRef("done"))
}

func (t tile) storeFull(m Mem, acc reg.VecPhysical, add bool) {
	if add {
		t.sum(m, acc)
	}
	VMOVUPS(acc, m)
}

// storeRounded stores a vector as bfloat16, masked or not.
func (t tile) storeRounded(m Mem, acc reg.VecPhysical, masked bool) {
	evex.VCVTNEPS2BF16(acc, reg.Z0)
	if masked {
		VMOVDQU16(reg.Y0, reg.K1, m)
	} else {
		VMOVDQU16(reg.Y0, m)
	}
}

func (t tile) storeMasked(m Mem, acc reg.VecPhysical, add bool) {
	old := t.isa.vec(0)
	if t.isa.lanes == 16 {
		if add {
			VMOVUPS_Z(m, reg.K1, old)
			t.sum(old, acc)
		}
		VMOVUPS(acc, reg.K1, m)
		return
	}
	if add {
		VMASKMOVPS(m, reg.Y1, old)
		t.sum(old, acc)
	}
	VMASKMOVPS(acc, reg.Y1, m)
}

func (t tile) sum(x Op, acc reg.VecPhysical) {
	if t.float {
		VADDPS(x, acc, acc)
	} else {
		VPADDD(x, acc, acc)
	}
}
