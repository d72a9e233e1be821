// Package figure draws charts as lists of shapes, written as SVG for a page or as PNG. It knows shapes and inks, nothing of what a chart means.
//
// An ink is a role, not a colour: the page maps it to a colour for light, for dark and for paper (CSS), a PNG takes the light one.
// The package keeps its fonts in one place and is not safe for concurrent use.
package figure

import "slices"

// Ink is the role of a shape's colour.
type Ink string

// Inks of what every chart has.
const (
	Text  Ink = "text"  // titles, labels
	Muted Ink = "muted" // ticks, notes
	Grid  Ink = "grid"
	Axis  Ink = "axis"
	Paper Ink = "paper"   // what lies behind the chart
	On    Ink = "on-fill" // text on a filled shape
)

// Series are the inks of a chart's series, in the order of use. The first Lines are for lines and dots too; the last two are greys for what is no series.
var Series = []Ink{"s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13"}

// Lines is how many of Series a line or a dot may have.
const Lines = 8

// Figure is a chart of W by H units; a unit is a pixel of the page.
type Figure struct {
	Name  string // file name, and id in the page: letters, digits and -
	Title string // what it shows, for those who do not see it
	W, H  float64

	shapes []shape
}

// New is an empty figure.
func New(name, title string, w, h float64) *Figure {
	return &Figure{Name: name, Title: title, W: w, H: h}
}

// Point is a place in the figure; y grows downwards.
type Point struct{ X, Y float64 }

// Anchor is the point of a text that its position means.
type Anchor string

// Anchors.
const (
	Start  Anchor = "start"
	Middle Anchor = "middle"
	End    Anchor = "end"
)

// shape is what both writers draw.
type shape interface {
	svg(w *svgWriter)
	png(c *canvas)
}

type area struct {
	points []Point
	ink    Ink
	faded  bool
	tip    string
}

type path struct {
	points []Point
	ink    Ink
	width  float64
	dashed bool
}

type disc struct {
	at     Point
	radius float64
	ink    Ink
	hollow bool
	tip    string
}

type label struct {
	at     Point
	text   string
	size   float64
	anchor Anchor
	ink    Ink
	bold   bool
}

// Rect fills a rectangle; tip is shown where a reader points at it.
func (f *Figure) Rect(x, y, w, h float64, ink Ink, tip string) {
	f.shapes = append(f.shapes, area{box(x, y, w, h), ink, false, tip})
}

// Faded is Rect with a quarter of the ink.
func (f *Figure) Faded(x, y, w, h float64, ink Ink, tip string) {
	f.shapes = append(f.shapes, area{box(x, y, w, h), ink, true, tip})
}

func box(x, y, w, h float64) []Point { return []Point{{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}} }

// Line draws a straight line.
func (f *Figure) Line(x1, y1, x2, y2 float64, ink Ink, width float64) {
	f.Path([]Point{{x1, y1}, {x2, y2}}, ink, width, false)
}

// Path draws a line through the points.
func (f *Figure) Path(points []Point, ink Ink, width float64, dashed bool) {
	f.shapes = append(f.shapes, path{slices.Clone(points), ink, width, dashed})
}

// Dot draws a disc, or a ring.
func (f *Figure) Dot(x, y, radius float64, ink Ink, hollow bool, tip string) {
	f.shapes = append(f.shapes, disc{Point{x, y}, radius, ink, hollow, tip})
}

// Label writes a text; y is its baseline.
func (f *Figure) Label(x, y float64, text string, size float64, anchor Anchor, ink Ink) {
	f.shapes = append(f.shapes, label{Point{x, y}, text, size, anchor, ink, false})
}

// Bold is Label in bold.
func (f *Figure) Bold(x, y float64, text string, size float64, anchor Anchor, ink Ink) {
	f.shapes = append(f.shapes, label{Point{x, y}, text, size, anchor, ink, true})
}
