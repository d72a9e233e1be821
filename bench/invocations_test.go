package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wayOut is how an error goes on after it has said what is wrong.
var wayOut = regexp.MustCompile(`(; |, or |, and |: |, )(see|take|pass|add|drop|choose|change|keep|leave|give|go on|use|write|name|the limit|ofpeak|measure|free|a chip table|they have|it has|is it|known:)|has rows 1 to|cannot be read: no such file|is not a percentage from|unknown field`)

// Whatever is wrong with the flags of any command, one line names the flag or file and the way out, nothing else is printed, and nothing is measured.
func TestBadInvocations(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.csv")
	if status, _, stderr := (&fakeRunner{}).ofpeak("run", "--suite", "smoke", "--out", good); status != 0 {
		t.Fatal(stderr)
	}
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("no results\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none.csv")
	seen := map[string]bool{}
	for _, test := range []struct{ args, named string }{
		{"walk", "walk"},
		{"--walk", "--walk"},
		{"run now", "now"},
		{"run --walk", "--walk"},
		{"run -x", "'x'"},
		{"run --suite", "--suite"},
		{"run --suite huge", "--suite huge"},
		{"run --case model=tiny --ranks 2", "--ranks"},
		{"run --case model=none", "--model none"},
		{"run --case dp", "--case"},
		{"run --case model=tiny,dp=two", "--case"},
		{"verify --against " + none, none},
		{"verify --against " + text, text},
		{"peak --device tpu", "--device tpu"},
		{"peak --gpus -1", "--gpus -1"},
		{"peak --device sim --collectives", "--collectives"},
		{"run --device tpu", "--device tpu"},
		{"run --chip Z9", "--chip"},
		{"run --seed one", `--seed "one"`},
		{"run --seconds long", `--seconds "long"`},
		{"run --seconds -1", "--seconds -1"},
		{"run --target NaN", "--target NaN"},
		{"run --limit -2", "--limit -2"},
		{"run --seconds 5 --limit 1", "--limit 1"},
		{"run --technique magic", "--technique magic"},
		{"run --model gpt9", "--model gpt9"},
		{"run --model C=1", "--model C=1"},
		{"run --precision fp1", "--precision fp1"},
		{"run --pass away", "--pass away"},
		{"run --engine steam", "--engine steam"},
		{"run --layout 3:4", "--layout 3:4"},
		{"run --ranks 0", "ranks"},
		{"run --ranks two", `--ranks "two"`},
		{"run --schedule tight", "--schedule tight"},
		{"run --zero 4", "--zero 4"},
		{"run --recompute all", "--recompute all"},
		{"run --threads -1", "--threads -1"},
		{"run --timeout soon", `--timeout "soon"`},
		{"run --timeout -1s", "--timeout -1s"},
		{"run --timeout 1s --isolate=false", "--timeout 1s"},
		{"run --isolate=perhaps", `--isolate "perhaps"`},
		{"run --resume", "--resume"},
		{"run --resume --out " + text, text},
		{"run --retry failed", "--retry failed"},
		{"run --resume --out " + none + " --retry ok", "--retry ok"},
		{"run --quiet --json", "--quiet"},
		{"run --out " + good, good},
		{"run --out " + dir + "/no/x.csv", dir + "/no/x.csv"},
		{"run --data " + none, "--data"},
		{"compare", "not 0"},
		{"compare " + good + " " + none, none},
		{"compare " + good + " " + good + " --threshold much", "threshold"},
		{"compare " + good + " " + good + " --format pdf", "--format"},
		{"chips all", "all"},
		{"chips --chip Z9", "--chip"},
		{"chips --chips " + none, "--chips"},
		{"chips --format pdf", "--format"},
		{"peak now", "now"},
		{"peak --time 0s", "--time 0s"},
		{"peak --time soon", `--time "soon"`},
		{"peak --format pdf", "--format"},
		{"verify now", "now"},
		{"verify --seed -1", `--seed "-1"`},
		{"verify --format pdf", "--format"},
		{"verify --device tpu", "--device tpu"},
		{"doctor now", "now"},
		{"doctor --cure", "--cure"},
		{"report", "not 0"},
		{"report " + good + " --price free", "--price"},
		{"import", "not 0"},
		{"import " + text, text},
		{"export " + good, "--format"},
		{"export " + good + " --format avro", "--format \"avro\""},
		{"trace", "not 0"},
		{"trace " + none, none},
		{"explain", "not 0"},
		{"explain " + good + " --format pdf", "--format"},
		{"explain " + good + " " + good, "not 2"},
		{"explain " + none, none},
		{"trace", "not 0"},
		{"trace " + none, none},
		{"trace " + text, text},
		{"trace " + text + " --case one", `--case "one"`},
		{"run --gpus few", `--gpus "few"`},
		{"bubble now", "now"},
		{"bubble --unit 0s", "--unit 0s"},
		{"bubble --unit soon", `--unit "soon"`},
		{"probe now", "now"},
		{"case", "case JOB"},
		{"case {", "job"},
	} {
		args := strings.Fields(test.args)
		seen[args[0]] = true
		var out, errs bytes.Buffer
		f := &fakeRunner{}
		open := f.open
		if test.named == "--data" { // read by the device's own runner
			open, args = openRunner, append(args, "--device", "cpu")
		}
		status := execute(newRootCmd(&out, &errs, open), &errs, args)
		line := errs.String()
		switch {
		case status == 0 || out.Len() > 0 || len(f.ran) > 0:
			t.Errorf("%s: status %d, %d cases ran, stdout %q", test.args, status, len(f.ran), out.String())
		case !strings.HasPrefix(line, "ofpeak: ") || strings.Count(line, "\n") != 1:
			t.Errorf("%s: not one line: %q", test.args, line)
		case !strings.Contains(line, test.named) || !wayOut.MatchString(line):
			t.Errorf("%s: does not name %q and a way out: %s", test.args, test.named, line)
		}
	}
	for _, cmd := range newRootCmd(&bytes.Buffer{}, &bytes.Buffer{}, nil).Commands() {
		if !seen[cmd.Name()] && !slices.Contains([]string{"help", "completion"}, cmd.Name()) {
			t.Errorf("ofpeak %s has no bad invocation here; add some", cmd.Name())
		}
	}
}
