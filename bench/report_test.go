package main

import (
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	inRuns(t, func() string {
		out, err := runCmd(newReportCmd, "base.csv", "gpu.csv", "-o", "page.html", "--png", "figures", "--price", "CNY 12/h", "--price", "A100 80GB SXM=USD 1.8/h")
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile("page.html")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Share of peak on 2 machines", "Example CPU (cpu-host)", "A100 80GB SXM", "USD 1.80 per device-hour", `id="shares-B"`} {
			if !strings.Contains(string(page), want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		images, err := filepath.Glob("figures/*.png")
		if err != nil || len(images) != strings.Count(out, ".png") || len(images) == 0 {
			t.Errorf("figures %v, %v; the command says %q", images, err, out)
		}
		for _, path := range images {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if config, err := png.DecodeConfig(f); err != nil || config.Width < 1000 {
				t.Errorf("%s: %+v, %v", path, config, err)
			}
			f.Close()
		}
		return ""
	})
}

// --open hands the page's path to what opens pages here. What fails, or is not there, is named, with the page that is written nonetheless.
func TestReportOpens(t *testing.T) {
	opener, ok := openers[runtime.GOOS]
	if !ok || runtime.GOOS == "windows" {
		t.Skip("no script can take the opener's place")
	}
	inRuns(t, func() string {
		bin := t.TempDir()
		t.Setenv("PATH", bin)
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct{ script, opened, want string }{
			{"", "", "--open: there is no " + opener[0] + "; install it, or open page.html yourself"},
			{"printf %s \"$*\" >opened", filepath.Join(here, "page.html"), ""},
			{"printf %s \"$*\" >opened; exit 3", filepath.Join(here, "page.html"), "--open: " + opener[0] + " failed: exit status 3; open page.html yourself"},
		} {
			if test.script != "" {
				if err := os.WriteFile(filepath.Join(bin, opener[0]), []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			os.Remove("page.html")
			os.Remove("opened")
			out, err := runCmd(newReportCmd, "base.csv", "-o", "page.html", "--open")
			if (err != nil || test.want != "") && (err == nil || err.Error() != test.want) {
				t.Errorf("%q: error %v; want %s", test.script, err, test.want)
			}
			if _, err := os.Stat("page.html"); err != nil || out != "wrote page.html\n" {
				t.Errorf("%q: the page is not written: %v, %s", test.script, err, out)
			}
			if opened, _ := os.ReadFile("opened"); string(opened) != test.opened {
				t.Errorf("%q: %q is opened; want %q", test.script, opened, test.opened)
			}
		}
		return ""
	})
}

func TestReportErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "report reads one file or more, not 0; give them as in report FILE.csv..."},
		{[]string{"none.csv"}, "none.csv: cannot be read: no such file or directory"},
		{[]string{"base.csv", "-o", "no/such/place.html"}, "--out no/such/place.html: cannot be written: no such file or directory; choose a writable place"},
		{[]string{"base.csv", "--png", "base.csv"}, "--png base.csv: cannot be made: not a directory; choose a writable place"},
		{[]string{"base.csv", "--price", "12"}, `--price "12": is no price; write "CNY 12/h", "USD 1.8/h", "CNY 73900/3y" or "A100 80GB SXM=CNY 73900/3y"`},
		{[]string{"base.csv", "--price", "TPU=CNY 1/h"}, `--price "TPU=CNY 1/h": "TPU" is no chip, device or host in these files; they have "Example CPU", "cpu-host"`},
	}
	inRuns(t, func() string {
		for _, test := range tests {
			if _, err := runCmd(newReportCmd, test.args...); err == nil || err.Error() != test.want {
				t.Errorf("%v: error %v; want %s", test.args, err, test.want)
			}
		}
		return ""
	})
}
