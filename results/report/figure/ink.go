package figure

import (
	"fmt"
	"image/color"
	"strings"
)

// hue is an ink's colour on a light and on a dark page, as RRGGBB.
type hue struct {
	ink         Ink
	light, dark uint32
}

// palette has the colours. Those of Series are told apart by lightness too, and texts have a contrast of at least 4.5 to the paper (a test holds both).
var palette = []hue{
	{Text, 0x1b2330, 0xe8ecf2},
	{Muted, 0x556070, 0xa3adbb},
	{Grid, 0xe4e8ee, 0x2b3340},
	{Axis, 0x8b95a3, 0x66717f},
	{Paper, 0xffffff, 0x161b22},
	{On, 0xffffff, 0x0b1017},
	{"s1", 0x1f5fbf, 0x6ba4f5},
	{"s2", 0xd98613, 0xf0b04f},
	{"s3", 0x1c8f74, 0x4fd0b0},
	{"s4", 0xb8376e, 0xf07fae},
	{"s5", 0x7653b5, 0xb99af0},
	{"s6", 0x8c6239, 0xc99f73},
	{"s7", 0xc93a22, 0xff8368},
	{"s8", 0x35495e, 0x93b0cc},
	{"s9", 0xe9c46a, 0xf7dc8f},
	{"s10", 0xb5a642, 0xd0c765},
	{"s11", 0xd8a0d4, 0xe3bdf0},
	{"s12", 0xc3c9d1, 0x4a5462},
	{"s13", 0xdfe4ea, 0x323b47},
}

// CSS gives every ink its colour: variables for the page and classes for the figures, for light, dark and paper.
func CSS() string {
	var classes strings.Builder
	for _, h := range palette {
		fmt.Fprintf(&classes, ".f-%[1]s{fill:var(--%[1]s)}.l-%[1]s{stroke:var(--%[1]s);fill:none}\n", h.ink)
	}
	return ":root{" + variables(func(h hue) uint32 { return h.light }) + "}\n@media screen and (prefers-color-scheme:dark){:root{" +
		variables(func(h hue) uint32 { return h.dark }) + "}}\n" + classes.String()
}

func variables(of func(hue) uint32) string {
	var parts []string
	for _, h := range palette {
		parts = append(parts, fmt.Sprintf("--%s:#%06x", h.ink, of(h)))
	}
	return strings.Join(parts, ";")
}

// light is the colour of an ink on paper.
func (i Ink) light() color.RGBA {
	for _, h := range palette {
		if h.ink == i {
			return color.RGBA{uint8(h.light >> 16), uint8(h.light >> 8), uint8(h.light), 0xff}
		}
	}
	panic("figure: unknown ink")
}
