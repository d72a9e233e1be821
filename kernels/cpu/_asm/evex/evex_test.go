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
	as, err := exec.LookPath("as")
	if err != nil {
		missing(t, "no GNU assembler: install binutils")
	}
	var source, want bytes.Buffer
	var lines []string
	add := func(text string, code [6]byte) {
		lines = append(lines, text)
		fmt.Fprintln(&source, text)
		want.Write(code[:])
	}
	for rm := range byte(32) {
		for reg := range byte(32) {
			for vvvv := range byte(32) {
				add(fmt.Sprintf("vdpbf16ps %%zmm%d, %%zmm%d, %%zmm%d", rm, vvvv, reg), Encode(prefixF3, 0x52, rm, vvvv, reg))
				add(fmt.Sprintf("vcvtne2ps2bf16 %%zmm%d, %%zmm%d, %%zmm%d", rm, vvvv, reg), Encode(prefixF2, 0x72, rm, vvvv, reg))
			}
			add(fmt.Sprintf("vcvtneps2bf16 %%zmm%d, %%ymm%d", rm, reg), Encode(prefixF3, 0x72, rm, 0, reg))
		}
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
	got, err := file.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != want.Len() {
		t.Fatalf("the assembler makes %d bytes, we %d", len(got), want.Len())
	}
	for i := 0; i < len(got); i += 6 {
		if !bytes.Equal(got[i:i+6], want.Bytes()[i:i+6]) {
			t.Fatalf("%s: the assembler makes %x, we %x", lines[i/6], got[i:i+6], want.Bytes()[i:i+6])
		}
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
