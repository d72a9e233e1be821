package ptx

import (
	"reflect"
	"testing"
)

const head = ".version 7.8\n.target sm_80\n.address_size 64\n"

func mustParse(t *testing.T, text string) *Module {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseModule(t *testing.T) {
	m := mustParse(t, head+`
// a comment
.extern .shared .align 16 .b8 pool[];
.global .align 4 .u32 table[3] = {1, 0x2, 3};
.visible .entry k(.param .u64 k_0, .param .f32 k_1)
.maxntid 16, 4, 1
.minnctapersm 2
{
	.reg .pred %p<2>;
	.reg .b32 %r<3>;
	.shared .align 8 .b8 tile[32];
	.local .align 8 .b8 depot[16];
	/* two
	   lines */
$top:
	@!%p1 bra $top;
}
`)
	k := m.Kernels[0]
	if m.Version != "7.8" || m.Target != "sm_80" || k.Name != "k" || k.MaxThreads != 64 {
		t.Errorf("got %+v, %+v", m, k)
	}
	wantVars := []Var{
		{Space: "shared", Name: "pool", Align: 16, Size: 1, Dynamic: true, Line: 6},
		{Space: "global", Name: "table", Align: 4, Size: 12, Init: []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, Line: 7},
	}
	if !reflect.DeepEqual(m.Vars, wantVars) {
		t.Errorf("got %+v", m.Vars)
	}
	if want := []Param{{"k_0", "u64"}, {"k_1", "f32"}}; !reflect.DeepEqual(k.Params, want) {
		t.Errorf("got %+v", k.Params)
	}
	if k.Regs["%p1"] != "pred" || k.Regs["%r2"] != "b32" || k.Regs["%r3"] != "" {
		t.Errorf("got %v", k.Regs)
	}
	if in := k.Body[0]; in.Line != 19 || in.Guard != "%p1" || !in.GuardNot || k.Labels["$top"] != 0 {
		t.Errorf("got %+v", in)
	}
}

func TestParseOperands(t *testing.T) {
	reg := func(n string) Operand { return Operand{Kind: Reg, Name: n} }
	for text, want := range map[string][]Operand{
		"mov.u32 %r1, %tid.x;":                {reg("%r1"), reg("%tid.x")},
		"add.s32 %r1, %r1, -5;":               {reg("%r1"), reg("%r1"), {Kind: Int, Bits: ^uint64(4)}},
		"mov.f32 %r1, 0f3F800000;":            {reg("%r1"), {Kind: Float32, Bits: 0x3f800000}},
		"mov.f64 %r1, 0d3FF0000000000000;":    {reg("%r1"), {Kind: Float64, Bits: 0x3ff0000000000000}},
		"ld.global.v2.u32 {%r1,_}, [%r2+-8];": {{Kind: Vector, Sub: []Operand{reg("%r1"), {Kind: Sink}}}, {Kind: Mem, Off: -8, Sub: []Operand{reg("%r2")}}},
		"mov.u32 %r1, name+12;":               {reg("%r1"), {Kind: Symbol, Name: "name", Off: 12}},
		"shfl.sync.up.b32 %r1|%p1, %r1, 1, 0, -1;": {
			{Kind: Pair, Sub: []Operand{reg("%r1"), reg("%p1")}}, reg("%r1"), {Kind: Int, Bits: 1}, {Kind: Int}, {Kind: Int, Bits: ^uint64(0)}},
		"and.pred %p1, !%p1, 0x1fU;": {reg("%p1"), {Kind: Reg, Name: "%p1", Not: true}, {Kind: Int, Bits: 31}},
	} {
		m := mustParse(t, head+".entry k() { .reg .pred %p<2>; .reg .b32 %r<3>; "+text+"}")
		if got := m.Kernels[0].Body[0].Args; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestParseOpcode(t *testing.T) {
	m := mustParse(t, head+".entry k() { cp.async.cg.shared.global.L2::128B [a], [b], 16; ret; }")
	in := m.Kernels[0].Body[0]
	if in.Op != "cp" || !reflect.DeepEqual(in.Mods, []string{"async", "cg", "shared", "global", "L2::128B"}) {
		t.Errorf("got %+v", in)
	}
}

// Inline assembly declares its registers in braces of its own.
func TestParseNestedScopes(t *testing.T) {
	m := mustParse(t, head+`.entry k() { .reg .b32 t; mov.b32 t, 1; { .reg .b32 t; mov.b32 t, 2; } { .reg .b32 t; mov.b32 t, 3; } mov.b32 t, 4; }`)
	var names []string
	for _, in := range m.Kernels[0].Body[:4] {
		names = append(names, in.Args[0].Name)
	}
	if want := []string{"t", "t@1", "t@2", "t"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestParseErrorsNameLineAndCause(t *testing.T) {
	for text, want := range map[string]string{
		".entry k(":                                    "ptx: line 4: the text ends early",
		".entry k() {\n mov.u32 %r1 %r2; }":            `ptx: line 5: "%r2" where ";" belongs`,
		".entry k() {\n a: b: a: ret; }":               "ptx: line 5: label a is there twice",
		".entry k() { .reg .b32 x; .reg .f32 x; }":     "ptx: line 4: register x is declared twice",
		".entry k() { @%p1 ret; }":                     "ptx: line 4: guard %p1 is no predicate",
		".visible .func f() { ret; }":                  "ptx: line 4: device functions are not supported: inline them",
		".entry k(.param .align 4 .b8 s[12]) { ret; }": `ptx: line 4: parameters of type "align" are not supported: one cell of 8 bytes holds each`,
		".entry k() { mov.u32 %r1, 12z; }":             `ptx: line 4: "12z" is no number`,
		".shared .b8 x[];":                             "ptx: line 4: x has no size",
		".global .b8 x[1] = {1, 2};":                   "ptx: line 4: more initial values than elements",
		".entry k() { .tex .u32 t; }":                  `ptx: line 4: unknown directive ".tex"`,
		".entry k() .cluster 2 { ret; }":               `ptx: line 4: unknown performance directive ".cluster"`,
		".entry k() { mov.u32 %r1, ); }":               `ptx: line 4: ")" where an operand belongs`,
		".address_size 32":                             "ptx: line 4: only 64-bit addresses are supported",
	} {
		if _, err := Parse(head + text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
