package isa

import "testing"

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Level
		bad  bool
	}{
		{"", AVX512, false},
		{"go", Go, false},
		{"avx2", AVX2, false},
		{"avx512", AVX512, false},
		{"AVX2", AVX512, true},
		{"sse", AVX512, true},
	} {
		got, err := parse(tc.in)
		if got != tc.want || (err != nil) != tc.bad {
			t.Errorf("parse(%q) = %v, %v; want %v, error %v", tc.in, got, err, tc.want, tc.bad)
		}
	}
}

func TestExtensionsNeedAVX512(t *testing.T) {
	if Best() < AVX512 && (BF16() || VNNI()) {
		t.Errorf("BF16 %v, VNNI %v at level %v", BF16(), VNNI(), Best())
	}
}
