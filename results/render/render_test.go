package render

import (
	"strings"
	"testing"
	"unicode/utf8"
)

var sample = Table{
	Header: []string{"case", "empty", "tokens/s"},
	Rows: [][]string{
		{"data-parallel bf16 tiny with quite a long description", "", "1.5"},
		{`a, "quoted" | piped`, "", "12345.5"},
	},
	Right: []int{2},
}

func TestWrite(t *testing.T) {
	tests := []struct {
		format Format
		want   string
	}{
		{Text, "case                                                   tokens/s\n" +
			"---------------------------------------------------------------\n" +
			"data-parallel bf16 tiny with quite a long description       1.5\n" +
			"a, \"quoted\" | piped                                     12345.5\n"},
		{CSV, "case,tokens/s\ndata-parallel bf16 tiny with quite a long description,1.5\n\"a, \"\"quoted\"\" | piped\",12345.5\n"},
		{Markdown, "| case | tokens/s |\n|:--- | ---:|\n| data-parallel bf16 tiny with quite a long description | 1.5 |\n| a, \"quoted\" \\| piped | 12345.5 |\n"},
	}
	for _, test := range tests {
		var out strings.Builder
		width := 0
		if test.format != Text {
			width = 20 // only text knows a terminal
		}
		if err := sample.DropEmpty().Write(&out, test.format, width); err != nil || out.String() != test.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", test.format, err, out.String(), test.want)
		}
	}
}

func TestTextFitsTheWidth(t *testing.T) {
	for width := 15; width <= 90; width++ {
		var out strings.Builder
		if err := sample.Write(&out, Text, width); err != nil {
			t.Fatal(err)
		}
		widest := 0
		for _, line := range strings.Split(out.String(), "\n") {
			widest = max(widest, utf8.RuneCountInString(line))
		}
		if fits := width >= len("data-parallel")+5+8+2; sample.Fits(width) != fits || (widest <= width) != fits {
			t.Errorf("width %d: Fits is %v, the widest line has %d", width, sample.Fits(width), widest)
		}
		if !strings.Contains(out.String(), "12345.5") {
			t.Errorf("width %d: a number is broken:\n%s", width, out.String())
		}
	}
	if !sample.Fits(0) {
		t.Error("no width does not fit")
	}
}

func TestWithout(t *testing.T) {
	got := sample.Without("empty", "none")
	if strings.Join(got.Header, " ") != "case tokens/s" || got.Rows[0][1] != "1.5" || len(got.Right) != 1 || got.Right[0] != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWrap(t *testing.T) {
	const s = "- one two three four five six"
	tests := []struct {
		width int
		want  string
	}{
		{0, s},
		{80, s},
		{12, "- one two\n  three four\n  five six"},
	}
	if got, want := Wrap("threads waited for 7 % of the time, or 12 %", 20, "  "), "threads waited for\n  7 % of the time,\n  or 12 %"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	for _, test := range tests {
		if got := Wrap(s, test.width, "  "); got != test.want {
			t.Errorf("width %d: %q; want %q", test.width, got, test.want)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, good := range []string{"text", "csv", "md"} {
		if f, err := ParseFormat(good); err != nil || string(f) != good {
			t.Errorf("%s: %v, %v", good, f, err)
		}
	}
	for _, bad := range []string{"", "CSV", "html"} {
		if _, err := ParseFormat(bad); err == nil {
			t.Errorf("%q is a format", bad)
		}
	}
}
