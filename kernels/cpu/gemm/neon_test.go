package gemm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

var fmla = regexp.MustCompile(`VFMLA V0\.S\[\d\], V\d+\.S4, V\d+\.S4`)

// Go's disassembler reads the hand-encoded instructions of the NEON tile as they are meant: 24 of the widest tile, 16 and 8 of the others.
func TestHandEncodedFMLA(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs the Go toolchain that built this")
	}
	binary := filepath.Join(t.TempDir(), "gemm.test")
	build := exec.Command(goTool, "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cross-build: %v\n%s", err, out)
	}
	text, err := exec.Command(goTool, "tool", "objdump", "-s", "sumsNEON", binary).Output()
	if err != nil {
		t.Fatalf("objdump: %v", err)
	}
	var want []string
	for _, registers := range []int{6, 4, 2} {
		for b := 1; b <= registers; b++ {
			for row := range neonTestRows {
				want = append(want, fmt.Sprintf("VFMLA V0.S[%d], V%d.S4, V%d.S4", row, b, 7+6*row+b))
			}
		}
	}
	got := fmla.FindAllString(string(text), -1)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("disassembled %q\nwant         %q", got, want)
	}
}

// neonTestRows is the height of the NEON tile, whose own constant exists on arm64 only.
const neonTestRows = 4
