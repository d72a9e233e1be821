package results

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	const line = "technique=model-parallel precision=fp32 model=gpt2,B=4 pp=2 schedule=1f1b seed=7"
	if got := strings.Join(Words(line), " "); got != "model-parallel fp32 gpt2,B=4 pp=2 1f1b seed=7" {
		t.Error(got)
	}
	if got := strings.Join(Words(line, "technique", "model", "seed"), " "); got != "fp32 pp=2 1f1b" {
		t.Error(got)
	}
	if got := ModelOf(line); got != "gpt2,B=4" {
		t.Error(got)
	}
	if long, short := ShortCommit("0123456789abcdef+"), ShortCommit("abc"); long != "0123456789ab+" || short != "abc" {
		t.Errorf("%s, %s", long, short)
	}
	if words, model := Words("odd"), ModelOf("odd"); len(words) != 1 || words[0] != "odd" || model != "" {
		t.Errorf("%q, %q", words, model)
	}
}
