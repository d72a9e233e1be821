package chips

import (
	"strings"
	"testing"
)

// FuzzParse holds that no table crashes the reader, that errors are one line that names the file, and that every figure read has a basis.
func FuzzParse(f *testing.F) {
	header := strings.Join(Columns(), ",") + "\n"
	f.Add(builtinCSV)
	f.Add(header + "Acme,Rocket,,5,dense,1.5,,,,,,,,,one card,verified,\"a\nsheet\"\n")
	f.Add(header + "Acme,,,,,NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parse("c.csv", strings.NewReader(text), nil)
		if err != nil {
			if msg := err.Error(); !strings.HasPrefix(msg, "c.csv:") || strings.Contains(msg, "\n") {
				t.Fatalf("error %q", msg)
			}
			return
		}
		for _, c := range table {
			if found, ok := table.Lookup(c.Name); !ok || found.Name != c.Name {
				t.Fatalf("chip %q is looked up as %q, %v", c.Name, found.Name, ok)
			}
			for _, dtype := range []string{"fp16", "int8"} {
				if figure, ok := c.Survey(dtype); ok && (figure.TOPS <= 0 || strings.HasSuffix(figure.Basis, "()")) {
					t.Fatalf("survey figure %+v", figure)
				}
			}
		}
	})
}
