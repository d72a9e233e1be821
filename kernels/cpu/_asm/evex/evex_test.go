package evex

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestEncode compares our bytes with the GNU assembler's for all registers.
func TestEncode(t *testing.T) {
	var all []instruction
	add := func(code [6]byte, format string, args ...any) {
		all = append(all, instruction{fmt.Sprintf(format, args...), code[:]})
	}
	for rm := range byte(32) {
		for reg := range byte(32) {
			for vvvv := range byte(32) {
				add(Encode(prefixF3, 0x52, rm, vvvv, reg), "vdpbf16ps %%zmm%d, %%zmm%d, %%zmm%d", rm, vvvv, reg)
				add(Encode(prefixF2, 0x72, rm, vvvv, reg), "vcvtne2ps2bf16 %%zmm%d, %%zmm%d, %%zmm%d", rm, vvvv, reg)
			}
			add(Encode(prefixF3, 0x72, rm, 0, reg), "vcvtneps2bf16 %%zmm%d, %%ymm%d", rm, reg)
		}
	}
	compare(t, all)
}

// TestEncodeBroadcast does so for all bases and vector registers, and for all
// displacements.
func TestEncodeBroadcast(t *testing.T) {
	bases := []string{"rax", "rcx", "rdx", "rbx", "", "", "rsi", "rdi", "r8", "r9", "r10", "r11", "", "", "r14", "r15"}
	var all []instruction
	add := func(base byte, disp int8, vvvv, reg byte) {
		code := EncodeBroadcast(prefixF3, 0x52, base, disp, vvvv, reg)
		// The assembler leaves out a displacement of zero unless told to keep it.
		text := fmt.Sprintf("{disp8} vdpbf16ps %d(%%%s){1to16}, %%zmm%d, %%zmm%d", 4*int(disp), bases[base], vvvv, reg)
		all = append(all, instruction{text, code})
	}
	for base, name := range bases {
		if name == "" {
			continue
		}
		for vvvv := range byte(32) {
			for reg := range byte(32) {
				add(byte(base), int8(reg)-16, vvvv, reg)
			}
		}
		for disp := -128; disp < 128; disp++ {
			add(byte(base), int8(disp), 1, 30)
		}
	}
	compare(t, all)
}

// TestIndexed does so for all bases with all indexes and scales.
func TestIndexed(t *testing.T) {
	names := []string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	var all []instruction
	for base := range byte(16) {
		for index := range byte(16) {
			if base&7 == 4 || base&7 == 5 || names[index] == "rsp" {
				continue
			}
			for scale := byte(1); scale <= 8; scale *= 2 {
				vvvv, reg := base+index, 31-base
				code := Indexed(EncodeBroadcast(prefixF3, 0x52, base, int8(index), vvvv, reg), index, scale)
				text := fmt.Sprintf("{disp8} vdpbf16ps %d(%%%s,%%%s,%d){1to16}, %%zmm%d, %%zmm%d", 4*int(index), names[base], names[index], scale, vvvv, reg)
				all = append(all, instruction{text, code})
			}
		}
	}
	compare(t, all)
}

// instruction is one in AT&T syntax, and our bytes for it.
type instruction struct {
	text string
	code []byte
}

// compare assembles instructions and compares the bytes of each.
func compare(t *testing.T, all []instruction) {
	t.Helper()
	as, err := exec.LookPath("as")
	if err != nil {
		missing(t, "no GNU assembler: install binutils")
	}
	var source bytes.Buffer
	for _, i := range all {
		fmt.Fprintln(&source, i.text)
	}
	object := filepath.Join(t.TempDir(), "all.o")
	cmd := exec.Command(as, "-o", object, "-")
	cmd.Stdin = &source
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("the assembler does not know AVX512_BF16: %v: %.200s", err, out))
	}
	file, err := elf.Open(object)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	theirs, err := file.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		n := min(len(i.code), len(theirs))
		if !bytes.Equal(theirs[:n], i.code) {
			t.Fatalf("%s: the assembler makes %x, we %x", i.text, theirs[:n], i.code)
		}
		theirs = theirs[n:]
	}
	if len(theirs) > 0 {
		t.Fatalf("the assembler makes %d bytes more", len(theirs))
	}
}

// missing skips a test whose tool is absent, or fails it where every tool is
// required.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("OFPEAK_REQUIRE") != "" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}
