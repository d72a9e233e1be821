package figure

import (
	"bytes"
	"image/color"
	"image/png"
	"math"
	"os"
	"strings"
	"testing"
)

// everything has each shape once.
func everything() *Figure {
	f := New("all", `a "chart" & more`, 100, 60)
	f.Rect(10, 10, 30.04, 20, "s1", "a < b")
	f.Faded(50, 10, 20, 20, "s2", "")
	f.Line(0, 59, 100, 59, Axis, 1)
	f.Path([]Point{{10, 50}, {40, 50}}, "s7", 2, true)
	f.Dot(80, 20, 5, "s3", false, "dot")
	f.Dot(95, 20, 4, "s3", true, "")
	f.Label(10, 40, "5 < 6 & 7", 12, Start, Muted)
	f.Bold(90, 40, "b", 12, End, Text)
	return f
}

func TestSVG(t *testing.T) {
	const path = "testdata/all.svg"
	got := everything().SVG() + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPNG(t *testing.T) {
	var buf bytes.Buffer
	if err := everything().PNG(&buf); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 200 || b.Dy() != 120 {
		t.Fatalf("size %v; want 200 by 120", b)
	}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	tests := []struct {
		what string
		x, y int
		want color.RGBA
	}{
		{"paper", 2, 2, Paper.light()},
		{"rectangle", 40, 40, Ink("s1").light()},
		{"disc", 160, 40, Ink("s3").light()},
		{"inside of a ring", 190, 40, Paper.light()},
		{"a dash", 24, 100, Ink("s7").light()},
		{"the gap after it", 34, 100, Paper.light()},
	}
	for _, test := range tests {
		if got := at(test.x, test.y); got != test.want {
			t.Errorf("%s: %v; want %v", test.what, got, test.want)
		}
	}
	if faded := at(120, 40); faded == Ink("s2").light() || faded == Paper.light() {
		t.Errorf("the faded rectangle has %v", faded)
	}
	ink := 0
	for x := 20; x < 130; x++ {
		if at(x, 76) != Paper.light() {
			ink++
		}
	}
	if ink < 10 {
		t.Errorf("the text left %d pixels on its line", ink)
	}
}

// TestTextsAreReadable holds the contrast that accessibility asks for (WCAG 2.1, 1.4.3: 4.5), and that neighbouring inks of series differ.
func TestTextsAreReadable(t *testing.T) {
	dark := func(i Ink) color.RGBA {
		for _, h := range palette {
			if h.ink == i {
				return color.RGBA{uint8(h.dark >> 16), uint8(h.dark >> 8), uint8(h.dark), 0xff}
			}
		}
		panic("no such ink")
	}
	for _, mode := range []struct {
		name string
		of   func(Ink) color.RGBA
	}{{"light", Ink.light}, {"dark", dark}} {
		for _, pair := range [][2]Ink{{Text, Paper}, {Muted, Paper}, {On, "s1"}} {
			if c := contrast(mode.of(pair[0]), mode.of(pair[1])); c < 4.5 {
				t.Errorf("%s: contrast of %s on %s is %.1f", mode.name, pair[0], pair[1], c)
			}
		}
		for i, a := range Series {
			for _, b := range Series[:i] {
				if d := distance(mode.of(a), mode.of(b)); d < 40 {
					t.Errorf("%s: %s and %s are only %.0f apart", mode.name, a, b, d)
				}
			}
		}
	}
}

// contrast is WCAG's ratio of relative luminances.
func contrast(a, b color.RGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(c color.RGBA) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

func distance(a, b color.RGBA) float64 {
	return math.Sqrt(math.Pow(float64(a.R)-float64(b.R), 2) + math.Pow(float64(a.G)-float64(b.G), 2) + math.Pow(float64(a.B)-float64(b.B), 2))
}

func TestCSSNamesEveryInk(t *testing.T) {
	css := CSS()
	for _, i := range append([]Ink{Text, Muted, Grid, Axis, Paper, On}, Series...) {
		for _, want := range []string{"--" + string(i) + ":#", ".f-" + string(i) + "{", ".l-" + string(i) + "{"} {
			if !strings.Contains(css, want) {
				t.Errorf("the style has no %s", want)
			}
		}
	}
}

func TestTextWidth(t *testing.T) {
	short, long := TextWidth("dp", 12), TextWidth("data-parallel", 12)
	if !(short > 5 && long > 4*short && long < 120) {
		t.Errorf("widths %v and %v", short, long)
	}
	if got := TextWidth("dp", 24); math.Abs(got-2*short) > 0.1*short {
		t.Errorf("twice the size is %v wide; want about %v", got, 2*short)
	}
}
