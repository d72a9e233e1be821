package compare

import (
	"fmt"
	"io"

	"ofpeak/results/render"
)

// document writes blocks with a blank line between them; the first error sticks.
type document struct {
	w      io.Writer
	format render.Format // Text or Markdown
	width  int
	begun  bool
	err    error
}

func (d *document) printf(format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format, args...)
	}
}

func (d *document) separate() {
	if d.begun {
		d.printf("\n")
	}
	d.begun = true
}

func (d *document) paragraph(s string) {
	d.separate()
	d.printf("%s\n", render.Wrap(s, d.width, "  "))
}

func (d *document) table(t render.Table) {
	d.separate()
	if d.err == nil {
		d.err = t.Write(d.w, d.format, d.width)
	}
}

// list writes nothing for no items.
func (d *document) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	d.separate()
	d.printf("%s:\n", title)
	if d.format == render.Markdown {
		d.printf("\n")
	}
	for _, item := range items {
		d.printf("%s\n", render.Wrap("- "+item, d.width, "  "))
	}
}
