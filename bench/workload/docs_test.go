package workload

import (
	"fmt"
	"strings"
	"testing"

	"ofpeak/docs"
)

// docs/running.md has the presets as they are.
func TestDocsListPresets(t *testing.T) {
	page, err := docs.Files.ReadFile("running.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range presets {
		row := fmt.Sprintf("| `%s` | %d | %d | %d | %d | %d |", m.Name, m.C, m.NH, m.T, m.L, m.B)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/running.md lacks %s", row)
		}
	}
}
