package workload

import "testing"

// FuzzParseModels and layouts: what they accept, they write and read again.
func FuzzParseModels(f *testing.F) {
	for _, text := range []string{"tiny", "tiny,gpt2,B=4", "C=1,NH=1,T=1,L=1,B=1", "2:4", "block:16@0.5", "dense", "gpt2,B=1048577", "C=,NH"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if models, err := ParseModels(text); err == nil {
			for _, m := range models {
				if again, err := ParseModel(m.String()); err != nil || again != m {
					t.Errorf("%q: %+v is read again as %+v, %v", text, m, again, err)
				}
			}
		}
		if l, err := ParseLayout(text); err == nil {
			if again, err := ParseLayout(LayoutString(l)); err != nil || again != l {
				t.Errorf("%q: %+v is read again as %+v, %v", text, l, again, err)
			}
		}
	})
}
