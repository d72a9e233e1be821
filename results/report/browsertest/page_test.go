// Package browsertest opens the report in a browser. It is a package of its own so that nothing else waits for the browser's library to compile.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"ofpeak/results"
	"ofpeak/results/report"
)

// missing skips the test, or fails it where the environment has OFPEAK_REQUIRE.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("OFPEAK_REQUIRE") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// writePage makes the page of the runs that are kept in the repository.
func writePage(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../../runs/*.csv")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no runs: %v", err)
	}
	var files []*results.File
	for _, path := range paths {
		f, err := results.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	price, err := report.ParsePrice("CNY 12/h")
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Build(files, report.Options{Prices: []report.Price{price}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := r.WritePage(out); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// witness keeps what the page says and asks for.
type witness struct {
	sync.Mutex
	requests, complaints []string
}

func (w *witness) see(event any) {
	w.Lock()
	defer w.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		w.requests = append(w.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		w.complaints = append(w.complaints, "console "+string(e.Type))
	case *runtime.EventExceptionThrown:
		w.complaints = append(w.complaints, e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		w.complaints = append(w.complaints, e.Entry.Text)
	}
}

// open starts a browser with the page.
func open(t *testing.T) (context.Context, *witness) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		missing(t, "no chromium; apt install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	w := &witness{}
	chromedp.ListenTarget(ctx, w.see)
	if err := chromedp.Run(ctx, network.Enable(), runtime.Enable(), log.Enable(), chromedp.Navigate("file://"+writePage(t))); err != nil {
		t.Fatal(err)
	}
	return ctx, w
}

// eval runs a script in the page.
func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	var out T
	await := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	if err := chromedp.Run(ctx, chromedp.Evaluate(script, &out, await)); err != nil {
		t.Fatalf("%.80s: %v", script, err)
	}
	return out
}

func TestPageInABrowser(t *testing.T) {
	ctx, seen := open(t)
	if n := eval[int](t, ctx, `document.querySelectorAll("figure svg").length`); n < 4 {
		t.Errorf("%d charts; want shares, losses, scaling and memory", n)
	}
	if n := eval[int](t, ctx, `[...document.querySelectorAll("figure svg")].filter(s => s.getBoundingClientRect().height < 50).length`); n != 0 {
		t.Errorf("%d charts have no height", n)
	}
	testSort(t, ctx)
	testFilter(t, ctx)
	seen.Lock()
	defer seen.Unlock()
	if len(seen.requests) != 1 || !strings.HasPrefix(seen.requests[0], "file:") {
		t.Errorf("requests %q; want the page's own and no other", seen.requests)
	}
	if len(seen.complaints) > 0 {
		t.Errorf("the browser complains: %q", seen.complaints)
	}
}

// Printed on A4 nothing lies beyond the margins, and what only a screen has use for is left out.
func TestPrintedPageInABrowser(t *testing.T) {
	ctx, _ := open(t)
	const width = (210 - 2*12) * 960 / 254 // CSS pixels between the margins of style.css, but for a fraction
	if err := chromedp.Run(ctx, emulation.SetEmulatedMedia().WithMedia("print"), emulation.SetDeviceMetricsOverride(width, 1000, 1, false)); err != nil {
		t.Fatal(err)
	}
	const beyond = `[...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + " " + e.textContent.slice(0, 40))`
	if over := eval[[]string](t, ctx, beyond); len(over) > 0 {
		t.Errorf("%d elements lie beyond the margin, such as %q", len(over), over[0])
	}
	if n := eval[int](t, ctx, `[...document.querySelectorAll("nav, .controls")].filter(e => e.offsetHeight > 0).length`); n > 0 {
		t.Errorf("%d parts are printed that only a screen has use for", n)
	}
	if n := eval[int](t, ctx, `[...document.querySelectorAll("figure svg, table")].filter(e => e.getBoundingClientRect().height < 20).length`); n > 0 {
		t.Errorf("%d figures and tables are not printed", n)
	}
}

// testSort presses the heading of the step times twice: the largest first, then the smallest, rows without one last.
func testSort(t *testing.T, ctx context.Context) {
	t.Helper()
	const press = `(() => {
		const table = document.getElementById("rows"), heading = [...table.tHead.rows[0].cells].find(c => c.textContent === "step");
		heading.querySelector("button").click();
		return [heading.ariaSort, ...[...table.tBodies[0].rows].map(r => r.cells[heading.cellIndex].dataset.value || "")];
	})()`
	const sorted = `((values, sign) => values.slice(1).every((v, i) => v === "" || values[i] !== "" && sign * (values[i] - v) <= 0))`
	for _, order := range []struct{ name, sign string }{{"descending", "-1"}, {"ascending", "1"}} {
		if ok := eval[bool](t, ctx, `((got) => got[0] === "`+order.name+`" && got.length > 3 && `+sorted+`(got.slice(1), `+order.sign+`))(`+press+`)`); !ok {
			t.Errorf("the rows are not in %s order", order.name)
		}
	}
}

// testFilter chooses a technique, then a word besides, then nothing.
func testFilter(t *testing.T, ctx context.Context) {
	t.Helper()
	const shown = `(technique, word) => {
		const controls = document.querySelector('.controls[data-for="rows"]'), table = document.getElementById("rows");
		const select = [...controls.querySelectorAll("select")].find(s => s.parentElement.textContent.startsWith("technique"));
		select.value = technique;
		controls.querySelector("input").value = word;
		controls.querySelector("input").dispatchEvent(new Event("input", { bubbles: true }));
		return [...table.tBodies[0].rows].filter(r => !r.hidden && r.offsetHeight > 0).map(r => r.textContent);
	}`
	all := eval[[]string](t, ctx, `(`+shown+`)("", "")`)
	sparse := eval[[]string](t, ctx, `(`+shown+`)("sparse", "")`)
	narrow := eval[[]string](t, ctx, `(`+shown+`)("sparse", "2:4 BF16")`)
	if !(len(narrow) > 0 && len(narrow) < len(sparse) && len(sparse) < len(all)) {
		t.Errorf("%d rows, %d of them sparse, %d in bf16 with 2:4", len(all), len(sparse), len(narrow))
	}
	for _, row := range narrow {
		if !strings.Contains(row, "sparse") || !strings.Contains(row, "bf16") {
			t.Errorf("shown is %q", row)
		}
	}
	if again := eval[[]string](t, ctx, `(`+shown+`)("", "")`); len(again) != len(all) {
		t.Errorf("%d rows are back of %d", len(again), len(all))
	}
}

// TestPageIsAccessible has axe-core look at the page, light and dark. OFPEAK_AXE is its axe.min.js; scripts/axe.sh fetches it.
func TestPageIsAccessible(t *testing.T) {
	path := os.Getenv("OFPEAK_AXE")
	if path == "" {
		missing(t, "OFPEAK_AXE does not name axe.min.js; scripts/axe.sh fetches it")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		missing(t, err.Error())
	}
	ctx, _ := open(t)
	for _, scheme := range []string{"light", "dark"} {
		dark := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}})
		if err := chromedp.Run(ctx, dark, chromedp.Evaluate(string(axe)+"\n;0", nil)); err != nil {
			t.Fatal(err)
		}
		for _, v := range eval[[]string](t, ctx, `axe.run({ resultTypes: ["violations"] }).then(r => r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | ")))`) {
			t.Errorf("%s: %s", scheme, v)
		}
	}
}
