package isa

import "testing"

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		arch, in string
		want     Level
		bad      bool
	}{
		{"amd64", "", AVX512, false},
		{"amd64", "go", Go, false},
		{"amd64", "avx2", AVX2, false},
		{"amd64", "avx512", AVX512, false},
		{"amd64", "AVX2", AVX512, true},
		{"amd64", "neon", AVX512, true},
		{"arm64", "", AVX512, false},
		{"arm64", "neon", NEON, false},
		{"arm64", "go", Go, false},
		{"arm64", "avx2", AVX512, true},
		{"riscv64", "go", Go, false},
		{"riscv64", "neon", AVX512, true},
	} {
		got, err := parse(tc.in, levelsOf(tc.arch))
		if got != tc.want || (err != nil) != tc.bad {
			t.Errorf("%s: parse(%q) = %v, %v; want %v, error %v", tc.arch, tc.in, got, err, tc.want, tc.bad)
		}
	}
}

func TestExtensionsNeedAVX512(t *testing.T) {
	if Best() < AVX512 && (BF16() || VNNI()) {
		t.Errorf("BF16 %v, VNNI %v at level %v", BF16(), VNNI(), Best())
	}
}
