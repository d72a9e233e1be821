package measure

import (
	"fmt"
	"strings"
	"testing"

	"ofpeak/docs"
)

// docs/running.md has the rules as they are.
func TestDocsListRules(t *testing.T) {
	page, err := docs.Files.ReadFile("running.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Rule{"smoke": Smoke, "quick": Quick, "full": Full} {
		row := fmt.Sprintf("| `%s` | %d steps, %g s | %g s | %g %% | %g s | %g s |", name, r.WarmupSteps, r.WarmupSeconds, r.SettleSeconds, r.TargetPct, r.Seconds, r.LimitSeconds)
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/running.md lacks %s", row)
		}
	}
}
