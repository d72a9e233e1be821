#include "textflag.h"

// FMLA adds b times one lane of V0 to acc, for registers by number. Go's assembler has only the form without a lane.
#define FMLA(acc, b, lane) WORD $(0x4F801000 | ((lane)&1)<<21 | ((lane)>>1)<<11 | (b)<<5 | (acc))

// COLUMNS multiplies register b of B, four columns, with the four rows. Row r adds up in V8+6r to V13+6r.
#define COLUMNS(b) \
	FMLA(7+b, b, 0)  \
	FMLA(13+b, b, 1) \
	FMLA(19+b, b, 2) \
	FMLA(25+b, b, 3)

// ZERO clears six registers.
#define ZERO(a, b, c, d, e, f) \
	VEOR a.B16, a.B16, a.B16 \
	VEOR b.B16, b.B16, b.B16 \
	VEOR c.B16, c.B16, c.B16 \
	VEOR d.B16, d.B16, d.B16 \
	VEOR e.B16, e.B16, e.B16 \
	VEOR f.B16, f.B16, f.B16

// STORE writes eight columns at R12; with R13 set it adds what is there, times the ones in V0.
#define STORE(x, y) \
	CBZ    R13, 4(PC)              \
	VLD1   (R12), [V1.S4, V2.S4]   \
	VFMLA  V0.S4, V1.S4, x.S4      \
	VFMLA  V0.S4, V2.S4, y.S4      \
	VST1.P [x.S4, y.S4], 32(R12)

// ROW writes as many vectors of a row as R10 says, and goes on to the next row of C.
#define ROW(a, b, c, d, e, f) \
	MOVD R5, R12 \
	STORE(a, b)  \
	CMP  $2, R10 \
	BLT  6(PC)   \
	STORE(c, d)  \
	CMP  $3, R10 \
	BLT  6(PC)   \
	STORE(e, f)  \
	ADD  R7, R5

// func sumsNEON(vectors, k, segs int, seg, a, b, c *uint32, ldc, rows, add int)
TEXT ·sumsNEON(SB), NOSPLIT, $0-80
	MOVD vectors+0(FP), R10
	MOVD k+8(FP), R1
	MOVD segs+16(FP), R2
	MOVD seg+24(FP), R3
	MOVD a+32(FP), R4
	MOVD b+40(FP), R6
	MOVD c+48(FP), R5
	MOVD ldc+56(FP), R7
	LSL  $2, R7
	MOVD rows+64(FP), R9
	MOVD add+72(FP), R13
	ZERO(V8, V9, V10, V11, V12, V13)
	ZERO(V14, V15, V16, V17, V18, V19)
	ZERO(V20, V21, V22, V23, V24, V25)
	ZERO(V26, V27, V28, V29, V30, V31)
	CBZ  R2, store

segment:
	MOVWU.P 4(R3), R8
	ADD     R4, R8
	MOVD    R1, R11
	CMP     $2, R10
	BLT     one
	BEQ     two

three:
	FMOVQ (R8), F0
	FLDPQ (R6), (F1, F2)
	FLDPQ 32(R6), (F3, F4)
	FLDPQ 64(R6), (F5, F6)
	COLUMNS(1)
	COLUMNS(2)
	COLUMNS(3)
	COLUMNS(4)
	COLUMNS(5)
	COLUMNS(6)
	ADD   $32, R8
	ADD   $96, R6
	SUBS  $1, R11
	BNE   three
	B     next

two:
	FMOVQ (R8), F0
	FLDPQ (R6), (F1, F2)
	FLDPQ 32(R6), (F3, F4)
	COLUMNS(1)
	COLUMNS(2)
	COLUMNS(3)
	COLUMNS(4)
	ADD   $32, R8
	ADD   $64, R6
	SUBS  $1, R11
	BNE   two
	B     next

one:
	FMOVQ (R8), F0
	FLDPQ (R6), (F1, F2)
	COLUMNS(1)
	COLUMNS(2)
	ADD   $32, R8
	ADD   $32, R6
	SUBS  $1, R11
	BNE   one

next:
	SUBS $1, R2
	BNE  segment

store:
	FMOVS $1.0, F0
	VDUP  V0.S[0], V0.S4
	ROW(V8, V9, V10, V11, V12, V13)
	SUBS  $1, R9
	BEQ   done
	ROW(V14, V15, V16, V17, V18, V19)
	SUBS  $1, R9
	BEQ   done
	ROW(V20, V21, V22, V23, V24, V25)
	SUBS  $1, R9
	BEQ   done
	ROW(V26, V27, V28, V29, V30, V31)

done:
	RET
