package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is an amount of memory.
type Bytes int64

// byteUnits are the units that amounts of memory are written in, the largest first.
var byteUnits = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// maxBytes bounds an amount, so that sums of some stay in an int64.
const maxBytes = Bytes(1) << 50

// String is the number with the largest unit that leaves it whole, as in 256MiB.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// ParseBytes is String's inverse; a number without a unit is in bytes.
func ParseBytes(s string) (Bytes, error) {
	number, size := s, Bytes(1)
	for _, u := range byteUnits {
		if before, ok := strings.CutSuffix(s, u.name); ok {
			number, size = before, u.size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || Bytes(n) > maxBytes/size {
		return 0, fmt.Errorf("--memory %s is no amount of memory up to %s; take one such as 256MiB", s, maxBytes)
	}
	return Bytes(n) * size, nil
}

// checkMemoryLimit looks at the limit alone: what fits it is found by running.
func checkMemoryLimit(c Case) error {
	if c.Memory < 0 || c.Memory > maxBytes {
		return fmt.Errorf("--memory %d is outside 0 to %s; pass 0 for no limit", int64(c.Memory), maxBytes)
	}
	return nil
}
