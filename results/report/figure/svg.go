package figure

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// SVG is the figure as an element to stand in a page, whose style sheet (CSS) gives the inks their colours.
func (f *Figure) SVG() string {
	w := &svgWriter{}
	fmt.Fprintf(w, `<svg class="figure" id="%s" viewBox="0 0 %s %s" role="img" aria-label="%s">`, html.EscapeString(f.Name), number(f.W), number(f.H), html.EscapeString(f.Title))
	for _, s := range f.shapes {
		w.WriteByte('\n')
		s.svg(w)
	}
	w.WriteString("\n</svg>")
	return w.String()
}

// File is the figure as an SVG file of its own, with the colours that a page would give it.
func (f *Figure) File() string {
	head, body, _ := strings.Cut(f.SVG(), ">")
	head = strings.Replace(head, "<svg ", `<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" `, 1)
	return head + ">\n<style>" + CSS() + "svg{background:var(--paper)}.faded{opacity:.25}.hollow{fill:var(--paper);stroke-width:1.6}</style>" + body + "\n"
}

type svgWriter struct{ bytes.Buffer }

func (a area) svg(w *svgWriter) {
	class := "f-" + string(a.ink)
	if a.faded {
		class += " faded"
	}
	low, high := a.points[0], a.points[2]
	fmt.Fprintf(w, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"`, class, number(low.X), number(low.Y), number(high.X-low.X), number(high.Y-low.Y))
	w.close("rect", a.tip)
}

func (p path) svg(w *svgWriter) {
	places := make([]string, len(p.points))
	for i, q := range p.points {
		places[i] = number(q.X) + "," + number(q.Y)
	}
	dashes := ""
	if p.dashed {
		dashes = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(w, `<polyline class="l-%s" points="%s" stroke-width="%s"%s/>`, p.ink, strings.Join(places, " "), number(p.width), dashes)
}

func (d disc) svg(w *svgWriter) {
	class := "f-" + string(d.ink)
	if d.hollow {
		class = "hollow l-" + string(d.ink)
	}
	fmt.Fprintf(w, `<circle class="%s" cx="%s" cy="%s" r="%s"`, class, number(d.at.X), number(d.at.Y), number(d.radius))
	w.close("circle", d.tip)
}

func (l label) svg(w *svgWriter) {
	bold := ""
	if l.bold {
		bold = ` font-weight="600"`
	}
	fmt.Fprintf(w, `<text class="f-%s" x="%s" y="%s" font-size="%s" text-anchor="%s"%s>%s</text>`,
		l.ink, number(l.at.X), number(l.at.Y), number(l.size), l.anchor, bold, html.EscapeString(l.text))
}

// close ends an element, with its tip inside.
func (w *svgWriter) close(element, tip string) {
	if tip == "" {
		w.WriteString("/>")
		return
	}
	fmt.Fprintf(w, "><title>%s</title></%s>", html.EscapeString(tip), element)
}

// number has a tenth of a unit.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
