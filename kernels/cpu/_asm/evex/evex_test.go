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
	as, err := exec.LookPath("as")
	if err != nil {
		missing(t, "no GNU assembler: install binutils")
	}
	var source, want bytes.Buffer
	for rm := range byte(32) {
		for vvvv := range byte(32) {
			for reg := range byte(32) {
				fmt.Fprintf(&source, "vdpbf16ps %%zmm%d, %%zmm%d, %%zmm%d\n", rm, vvvv, reg)
				code := Encode(prefixF3, 0x52, rm, vvvv, reg)
				want.Write(code[:])
			}
		}
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
	got, err := file.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != want.Len() {
		t.Fatalf("the assembler makes %d bytes, we %d", len(got), want.Len())
	}
	for i := 0; i < len(got); i += 6 {
		if !bytes.Equal(got[i:i+6], want.Bytes()[i:i+6]) {
			n := i / 6
			t.Fatalf("zmm%d, zmm%d, zmm%d: the assembler makes %x, we %x",
				n>>10, n>>5&31, n&31, got[i:i+6], want.Bytes()[i:i+6])
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
