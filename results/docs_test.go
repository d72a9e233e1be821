package results

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDocsListEveryColumn holds that docs/csv.md documents exactly the columns, in order.
func TestDocsListEveryColumn(t *testing.T) {
	page, err := os.ReadFile("../docs/csv.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|[^|]*\\|[^|]+\\|[^|]+\\|$").FindAllSubmatch(page, -1) {
		documented = append(documented, string(m[1]))
	}
	if columns := Columns(); !slices.Equal(documented, columns) {
		t.Errorf("docs/csv.md lists\n%v\nthe columns are\n%v", documented, columns)
	}
}
