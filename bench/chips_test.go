package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// runCmd runs a subcommand as the user does and returns what it prints.
func runCmd(newCmd func(io.Writer) *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := newCmd(&out)
	cmd.SetArgs(append([]string{}, args...)) // never nil: cobra would take the test's own arguments
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.Execute()
	return out.String(), err
}

// golden compares with a file in testdata, or rewrites it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", path, got, want)
	}
}

func TestChips(t *testing.T) {
	tests := []struct {
		golden string
		args   []string
	}{
		{"chips.txt", nil},
		{"chips.csv", []string{"--format", "csv"}},
		{"chips.md", []string{"--format", "md"}},
		{"chips-h100-nvl.txt", []string{"--chip", "nvidia h100 nvl"}},
		{"chips-mi300.md", []string{"--chip", "AMD Instinct MI300X", "--format", "md"}},
		{"chips-extra.txt", []string{"--chips", "testdata/extra-chips.csv", "--chip", "Example 9000"}},
	}
	for _, test := range tests {
		got, err := runCmd(newChipsCmd, test.args...)
		if err != nil {
			t.Errorf("%v: %v", test.args, err)
			continue
		}
		golden(t, test.golden, got)
	}
}

func TestChipsErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--format", "html"}, `--format "html": is unknown; use text, csv or md`},
		{[]string{"--chip", "NVIDIA A100-SXM4-40GB"}, `--chip "NVIDIA A100-SXM4-40GB": is not in the table`},
		{[]string{"--chips", "testdata/none.csv"}, "testdata/none.csv: no such file or directory"},
		{[]string{"surplus"}, "takes flags only"},
	}
	for _, test := range tests {
		_, err := runCmd(newChipsCmd, test.args...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: error %v; want %q in it", test.args, err, test.want)
		}
	}
}
