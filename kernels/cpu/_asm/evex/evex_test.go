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

// TestVDPBF16PS compares our bytes with the GNU assembler's for every triple of
// registers.
func TestVDPBF16PS(t *testing.T) {
	var ours []instruction
	for rm := range byte(32) {
		for vvvv := range byte(32) {
			for reg := range byte(32) {
				code := Encode(prefixF3, 0x52, rm, vvvv, reg)
				ours = append(ours, instruction{fmt.Sprintf("vdpbf16ps %%zmm%d, %%zmm%d, %%zmm%d", rm, vvvv, reg), code[:]})
			}
		}
	}
	compare(t, ours)
}

// TestVDPBF16PSBroadcast does so for all pairs of registers, with every base that
// can be encoded at some displacements, and with all displacements for some.
func TestVDPBF16PSBroadcast(t *testing.T) {
	bases := []string{"rax", "rcx", "rdx", "rbx", "", "", "rsi", "rdi", "r8", "r9", "r10", "r11", "", "", "r14", "r15"}
	var ours []instruction
	add := func(base byte, disp int8, vvvv, reg byte) {
		// An offset of zero needs no displacement, which the assembler leaves out unless told to keep it.
		text := fmt.Sprintf("{disp8} vdpbf16ps %d(%%%s){1to16}, %%zmm%d, %%zmm%d", 4*int(disp), bases[base], vvvv, reg)
		code := EncodeBroadcast(prefixF3, 0x52, base, disp, vvvv, reg)
		ours = append(ours, instruction{text, code[:]})
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
	compare(t, ours)
}

// instruction is one in AT&T syntax, and our bytes for it.
type instruction struct {
	text string
	code []byte
}

// compare assembles instructions and compares each one's bytes.
func compare(t *testing.T, ours []instruction) {
	t.Helper()
	as, err := exec.LookPath("as")
	if err != nil {
		missing(t, "no GNU assembler: install binutils")
	}
	var source bytes.Buffer
	for _, i := range ours {
		fmt.Fprintln(&source, i.text)
	}
	object := filepath.Join(t.TempDir(), "all.o")
	cmd := exec.Command(as, "-o", object, "-")
	cmd.Stdin = &source
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("the assembler does not know VDPBF16PS: %v: %.200s", err, out))
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
	for _, i := range ours {
		n := len(i.code)
		if len(theirs) < n || !bytes.Equal(theirs[:n], i.code) {
			t.Fatalf("%s: the assembler makes %x, we %x", i.text, theirs[:min(n, len(theirs))], i.code)
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
