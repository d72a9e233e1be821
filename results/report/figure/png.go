package figure

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// zoom is how many pixels of a PNG a unit takes.
const zoom = 2

// PNG writes the figure as an image on white.
func (f *Figure) PNG(w io.Writer) error {
	c := &canvas{image.NewRGBA(image.Rect(0, 0, int(math.Ceil(f.W*zoom)), int(math.Ceil(f.H*zoom))))}
	draw.Draw(c.img, c.img.Bounds(), image.NewUniform(Paper.light()), image.Point{}, draw.Src)
	for _, s := range f.shapes {
		s.png(c)
	}
	return png.Encode(w, c.img)
}

type canvas struct{ img *image.RGBA }

// fill fills a closed outline.
func (c *canvas) fill(points []Point, ink color.Color) {
	b := c.img.Bounds()
	r := vector.NewRasterizer(b.Dx(), b.Dy())
	for i, p := range points {
		x, y := float32(p.X*zoom), float32(p.Y*zoom)
		if i == 0 {
			r.MoveTo(x, y)
		} else {
			r.LineTo(x, y)
		}
	}
	r.ClosePath()
	r.Draw(c.img, b, image.NewUniform(ink), image.Point{})
}

// stroke fills the line from a to b, whose ends are square.
func (c *canvas) stroke(a, b Point, width float64, ink color.Color) {
	length := math.Hypot(b.X-a.X, b.Y-a.Y)
	if length == 0 {
		return
	}
	nx, ny := (a.Y-b.Y)/length*width/2, (b.X-a.X)/length*width/2
	c.fill([]Point{{a.X + nx, a.Y + ny}, {b.X + nx, b.Y + ny}, {b.X - nx, b.Y - ny}, {a.X - nx, a.Y - ny}}, ink)
}

func (a area) png(c *canvas) {
	ink := a.ink.light()
	if a.faded {
		ink = color.RGBA{ink.R / 4, ink.G / 4, ink.B / 4, 0x3f} // premultiplied
	}
	c.fill(a.points, ink)
}

func (p path) png(c *canvas) {
	for i := 1; i < len(p.points); i++ {
		for _, dash := range p.dashes(p.points[i-1], p.points[i]) {
			c.stroke(dash[0], dash[1], p.width, p.ink.light())
		}
	}
}

// dashes cuts a line into dashes of 5 units with gaps of 4, or returns it whole.
func (p path) dashes(a, b Point) [][2]Point {
	length := math.Hypot(b.X-a.X, b.Y-a.Y)
	if !p.dashed || length == 0 {
		return [][2]Point{{a, b}}
	}
	at := func(d float64) Point {
		t := math.Min(1, d/length)
		return Point{a.X + t*(b.X-a.X), a.Y + t*(b.Y-a.Y)}
	}
	var out [][2]Point
	for d := 0.0; d < length; d += 9 {
		out = append(out, [2]Point{at(d), at(d + 5)})
	}
	return out
}

func (d disc) png(c *canvas) {
	c.fill(circle(d.at, d.radius), d.ink.light())
	if d.hollow {
		c.fill(circle(d.at, d.radius-1.6), Paper.light())
	}
}

// circle has corners closer than a pixel.
func circle(at Point, radius float64) []Point {
	const corners = 48
	points := make([]Point, corners)
	for i := range points {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		points[i] = Point{at.X + radius*cos, at.Y + radius*sin}
	}
	return points
}

func (l label) png(c *canvas) {
	face := face(l.bold, l.size*zoom)
	width := font.MeasureString(face, l.text)
	x := fixed.Int26_6(l.at.X * zoom * 64)
	switch l.anchor {
	case Middle:
		x -= width / 2
	case End:
		x -= width
	}
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(l.ink.light()), Face: face, Dot: fixed.Point26_6{X: x, Y: fixed.Int26_6(l.at.Y * zoom * 64)}}
	d.DrawString(l.text)
}

// TextWidth is the width of a text in units, with what the widest usual font of a page takes more.
func TextWidth(text string, size float64) float64 {
	const wider = 1.14 // DejaVu Sans over Go
	return float64(font.MeasureString(face(false, size*zoom), text)) / 64 / zoom * wider
}

type faceKey struct {
	bold bool
	size float64
}

var faces = map[faceKey]font.Face{}

// face is one of the Go fonts, which the binary carries.
func face(bold bool, size float64) font.Face {
	key := faceKey{bold, size}
	if f, ok := faces[key]; ok {
		return f
	}
	ttf := goregular.TTF
	if bold {
		ttf = gobold.TTF
	}
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		panic("figure: the built-in font does not parse")
	}
	f, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72})
	if err != nil {
		panic("figure: the built-in font has no such size")
	}
	faces[key] = f
	return f
}
