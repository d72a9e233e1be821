package workload

import (
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "1": 1, "1025": 1025, "1KiB": 1 << 10, "256MiB": 256 << 20, "3GiB": 3 << 30, "1048576GiB": maxBytes} {
		if got, err := ParseBytes(text); err != nil || got != want || got.String() != text {
			t.Errorf("%s: %d (%s), %v", text, int64(got), got, err)
		}
	}
	if b, err := ParseBytes("2048"); err != nil || b.String() != "2KiB" {
		t.Errorf("2048 bytes are %s, %v", b, err)
	}
	for _, text := range []string{"", "-1", "MiB", "1.5GiB", "1MB", "1 MiB", "1048577GiB", "99999999999999999999", "9223372036854775807KiB"} {
		if got, err := ParseBytes(text); err == nil || !strings.HasPrefix(err.Error(), "--memory ") {
			t.Errorf("%q: %d, %v", text, int64(got), err)
		}
	}
}
