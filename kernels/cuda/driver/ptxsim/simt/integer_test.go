package simt

import "testing"

func TestIntegerOps(t *testing.T) {
	runOps(t, []opTest{
		{"add.s32 %r0, %r1, %r2;", 0xffffffff, 2, 0, 1},
		{"add.s64 %d0, %d1, %d2;", ^uint64(0), 2, 0, 1},
		{"add.s16 %h0, %h1, %h2;", 0xffff, 2, 0, 1},
		{"add.sat.s32 %r0, %r1, %r2;", 0x7fffffff, 5, 0, 0x7fffffff},
		{"sub.sat.s32 %r0, %r1, %r2;", 0x80000000, 5, 0, 0x80000000},
		{"sub.s32 %r0, %r1, %r2;", 1, 2, 0, 0xffffffff},
		{"sub.u64 %d0, %d1, 7;", 9, 0, 0, 2},
		{"mul.lo.s32 %r0, %r1, %r2;", 0x10001, 0x10001, 0, 0x20001},
		{"mul.hi.u32 %r0, %r1, %r2;", 0xffffffff, 0xffffffff, 0, 0xfffffffe},
		{"mul.hi.s32 %r0, %r1, %r2;", 0xffffffff, 5, 0, 0xffffffff},
		{"mul.hi.s64 %d0, %d1, %d2;", neg(3), 5, 0, ^uint64(0)},
		{"mul.hi.u64 %d0, %d1, %d2;", 1 << 63, 6, 0, 3},
		{"mul.wide.s32 %d0, %r1, %r2;", neg32(3), 5, 0, neg(15)},
		{"mul.wide.u32 %d0, %r1, %r2;", neg32(3), 5, 0, 5 * (1<<32 - 3)},
		{"mul.wide.s16 %r0, %h1, %h2;", 0xffff, 4, 0, neg32(4)},
		{"mul.lo.s16 %h0, %h1, %h2;", 0x101, 0x101, 0, 0x201},
		{"mad.lo.s32 %r0, %r1, %r2, %r3;", 7, 6, neg32(2), 40},
		{"mad.hi.u32 %r0, %r1, %r2, %r3;", 1 << 31, 4, 5, 7},
		{"mad.wide.u32 %d0, %r1, %r2, %d3;", 1 << 31, 4, 1, 1<<33 + 1},
		{"mad.wide.s32 %d0, %r1, %r2, %d3;", neg32(1), 4, 1, neg(3)},
		{"div.s32 %r0, %r1, %r2;", neg32(7), 2, 0, neg32(3)},
		{"div.u32 %r0, %r1, %r2;", neg32(7), 2, 0, 0x7ffffffc},
		{"div.u32 %r0, %r1, %r2;", 7, 0, 0, 0xffffffff},
		{"div.s64 %d0, %d1, %d2;", neg(7), 2, 0, neg(3)},
		{"rem.s32 %r0, %r1, %r2;", neg32(7), 4, 0, neg32(3)},
		{"rem.u64 %d0, %d1, %d2;", 17, 5, 0, 2},
		{"rem.u32 %r0, %r1, %r2;", 17, 0, 0, 17},
		{"neg.s32 %r0, %r1;", 5, 0, 0, neg32(5)},
		{"abs.s32 %r0, %r1;", neg32(5), 0, 0, 5},
		{"abs.s64 %d0, %d1;", neg(5), 0, 0, 5},
		{"min.s32 %r0, %r1, %r2;", neg32(5), 3, 0, neg32(5)},
		{"min.u32 %r0, %r1, %r2;", neg32(5), 3, 0, 3},
		{"max.s64 %d0, %d1, %d2;", neg(5), 3, 0, 3},
		{"max.u16 %h0, %h1, %h2;", 0xffff, 3, 0, 0xffff},
		{"sad.s32 %r0, %r1, %r2, %r3;", neg32(5), 3, 10, 18},
		{"popc.b32 %r0, %r1;", 0xf0f, 0, 0, 8},
		{"popc.b64 %r0, %d1;", ^uint64(0), 0, 0, 64},
		{"clz.b32 %r0, %r1;", 1, 0, 0, 31},
		{"clz.b64 %r0, %d1;", 0, 0, 0, 64},
		{"brev.b32 %r0, %r1;", 1, 0, 0, 0x80000000},
		{"bfe.u32 %r0, %r1, 4, 8;", 0xabcd, 0, 0, 0xbc},
		{"bfe.s32 %r0, %r1, 4, 8;", 0xabcd, 0, 0, 0xffffffbc},
		{"bfe.s32 %r0, %r1, 28, 8;", 0x80000000, 0, 0, 0xfffffff8},
		{"bfi.b32 %r0, %r1, %r2, 8, 8;", 0xab, 0x11111111, 0, 0x1111ab11},
		{"bfi.b64 %d0, %d1, %d2, 32, 32;", 5, 7, 0, 5<<32 | 7},
		{"bfind.u32 %r0, %r1;", 0x100, 0, 0, 8},
		{"bfind.s32 %r0, %r1;", 0xffffffff, 0, 0, 0xffffffff},
		{"bfind.shiftamt.u32 %r0, %r1;", 0x100, 0, 0, 23},
		{"dp4a.s32.s32 %r0, %r1, %r2, %r3;", 0xff020304, 0x01010101, 10, 18},
		{"dp4a.u32.u32 %r0, %r1, %r2, %r3;", 0xff020304, 0x01010101, 10, 274},
	})
}

func TestLogicOps(t *testing.T) {
	runOps(t, []opTest{
		{"and.b32 %r0, %r1, %r2;", 0xff0, 0xf0f, 0, 0xf00},
		{"or.b64 %d0, %d1, %d2;", 1 << 40, 3, 0, 1<<40 | 3},
		{"xor.b16 %h0, %h1, -1;", 0x00ff, 0, 0, 0xff00},
		{"not.b32 %r0, %r1;", 0xff, 0, 0, 0xffffff00},
		{"cnot.b32 %r0, %r1;", 0, 0, 0, 1},
		{"and.pred %p0, %p1, %p2;", 1, 1, 0, 1},
		{"and.pred %p0, %p1, !%p2;", 1, 1, 0, 0},
		{"or.pred %p0, %p1, %p2;", 0, 0, 0, 0},
		{"xor.pred %p0, %p1, %p2;", 1, 0, 0, 1},
		{"not.pred %p0, %p1;", 1, 0, 0, 0},
		{"mov.pred %p0, %p1;", 0, 0, 0, 0},
		{"shl.b32 %r0, %r1, %r2;", 3, 31, 0, 0x80000000},
		{"shl.b32 %r0, %r1, %r2;", 3, 32, 0, 0},
		{"shl.b64 %d0, %d1, %r2;", 3, 40, 0, 3 << 40},
		{"shr.u32 %r0, %r1, %r2;", 0x80000000, 31, 0, 1},
		{"shr.u32 %r0, %r1, %r2;", 0x80000000, 70, 0, 0},
		{"shr.s32 %r0, %r1, %r2;", 0x80000000, 70, 0, 0xffffffff},
		{"shr.s64 %d0, %d1, 1;", neg(4), 0, 0, neg(2)},
		{"shr.u16 %h0, %h1, 8;", 0xff12, 0, 0, 0xff},
		{"shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 0x80000000, 1, 33, 3},
		{"shf.l.clamp.b32 %r0, %r1, %r2, %r3;", 0x12345678, 1, 40, 0x12345678},
		{"shf.r.wrap.b32 %r0, %r1, %r2, %r3;", 2, 1, 1, 0x80000001},
		{"lop3.b32 %r0, %r1, %r2, %r3, 0x80;", 0xf, 0x3c, 0x18, 0x8},
		{"lop3.b32 %r0, %r1, %r2, %r3, 0x96;", 0xf, 0x3c, 0x18, 0xf ^ 0x3c ^ 0x18},
		{"lop3.b32 %r0, %r1, %r2, %r3, 0xca;", 0xf0, 0xab, 0xcd, 0xad},
		{"prmt.b32 %r0, %r1, %r2, 0x5410;", 0x33221100, 0x77665544, 0, 0x55441100},
		{"prmt.b32 %r0, %r1, %r2, 0x8b73;", 0x33221180, 0x77665544, 0, 0xff007733},
	})
}

func TestCompareOps(t *testing.T) {
	runOps(t, []opTest{
		{"setp.lt.s32 %p0, %r1, %r2;", neg32(1), 1, 0, 1},
		{"setp.lt.u32 %p0, %r1, %r2;", neg32(1), 1, 0, 0},
		{"setp.lo.u32 %p0, %r1, %r2;", 1, 2, 0, 1},
		{"setp.hs.u32 %p0, %r1, %r2;", 2, 2, 0, 1},
		{"setp.ge.s64 %p0, %d1, %d2;", neg(1), neg(1), 0, 1},
		{"setp.ne.s16 %p0, %h1, %h2;", 1, 1, 0, 0},
		{"setp.eq.f32 %p0, %r1, %r2;", 0, nzero, 0, 1},
		{"setp.lt.f32 %p0, %r1, %r2;", nan, f32(1), 0, 0},
		{"setp.ltu.f32 %p0, %r1, %r2;", nan, f32(1), 0, 1},
		{"setp.ne.f32 %p0, %r1, %r2;", nan, nan, 0, 0},
		{"setp.neu.f32 %p0, %r1, %r2;", nan, nan, 0, 1},
		{"setp.equ.f32 %p0, %r1, %r2;", nan, nan, 0, 1},
		{"setp.gtu.f32 %p0, %r1, %r2;", f32(2), f32(1), 0, 1},
		{"setp.num.f32 %p0, %r1, %r2;", f32(2), nan, 0, 0},
		{"setp.nan.f32 %p0, %r1, %r2;", f32(2), nan, 0, 1},
		{"setp.gt.ftz.f32 %p0, %r1, %r2;", tiny, 0, 0, 0},
		{"setp.gt.f32 %p0, %r1, %r2;", tiny, 0, 0, 1},
		{"setp.gt.f64 %p0, %d1, %d2;", f64(2), f64(1), 0, 1},
		{"setp.gt.f16 %p0, %h1, %h2;", 0x4000, 0x3c00, 0, 1},
		{"setp.gt.and.s32 %p0, %r1, %r2, %p3;", 2, 1, 0, 0},
		{"setp.gt.or.s32 %p0, %r1, %r2, !%p3;", 1, 1, 0, 1},
		{"setp.gt.xor.s32 %p0|%p4, %r1, %r2, %p3;", 2, 1, 1, 0},
		{"set.gt.u32.s32 %r0, %r1, %r2;", 2, 1, 0, 0xffffffff},
		{"set.gt.f32.s32 %r0, %r1, %r2;", 2, 1, 0, 0x3f800000},
		{"selp.b32 %r0, %r1, %r2, %p3;", 5, 6, 1, 5},
		{"selp.f64 %d0, %d1, %d2, %p3;", 5, 6, 0, 6},
		{"slct.b32.s32 %r0, %r1, %r2, %r3;", 5, 6, neg32(1), 6},
		{"slct.b32.f32 %r0, %r1, %r2, %r3;", 5, 6, nzero, 5},
		{"slct.b32.f32 %r0, %r1, %r2, %r3;", 5, 6, nan, 6},
	})
	got := eval(t, "setp.gt.and.s32 %p0|%p4, %r1, %r2, %p3;", "%p4", [][3]uint64{{2, 1, 1}, {1, 2, 1}, {1, 2, 0}})
	if got[0] != 0 || got[1] != 1 || got[2] != 0 {
		t.Errorf("the second predicate is %v, want the complement's conjunction 0, 1, 0", got)
	}
}

func TestMoveOps(t *testing.T) {
	runOps(t, []opTest{
		{"mov.u32 %r0, %r1;", 7, 0, 0, 7},
		{"mov.u32 %r0, WARP_SZ;", 0, 0, 0, 32},
		{"mov.u32 %r0, %ntid.x;", 0, 0, 0, 1},
		{"mov.f64 %d0, 0d3FF0000000000000;", 0, 0, 0, f64(1)},
		{"mov.b64 %d0, {%r1, %r2};", 1, 2, 0, 2<<32 | 1},
		{"mov.b32 %r0, {%h1, %h2};", 1, 2, 0, 0x20001},
		{"mov.b32 {%h0, %h4}, %r1;", 0x30002, 0, 0, 2},
		{"cvta.to.global.u64 %d0, %d1;", 99, 0, 0, 99},
	}[:6])
	if got := eval(t, "mov.b32 {%h4, %h5}, %r1;", "%h5", [][3]uint64{{0x30002}})[0]; got != 3 {
		t.Errorf("the upper half is %d, want 3", got)
	}
	if got := eval(t, "mov.b64 {_, %r5}, %d1;", "%r5", [][3]uint64{{5<<32 | 4}})[0]; got != 5 {
		t.Errorf("the upper half is %d, want 5", got)
	}
	if got := eval(t, "cvta.to.global.u64 %d0, %d1;", "%d0", [][3]uint64{{99}})[0]; got != 99 {
		t.Errorf("the address is %d, want 99", got)
	}
}
