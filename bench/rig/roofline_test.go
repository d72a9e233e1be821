package rig

import (
	"cmp"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/verify"
	"ofpeak/results/chips"
)

var update = flag.Bool("update", false, "rewrite the table of rooflines")

// sizes are dims of operands: B sequences of T tokens, N together; C and OC channels, NH heads, V words, U further positions; E experts of which each token chooses K, in groups of G tokens, in R
// rows; P ranks; s bytes an element, d the share of a weight that is stored.
type sizes map[string]float64

// counted are small enough for the interpreter, and whole tiles.
var counted = sizes{"B": 1, "T": 128, "C": 128, "OC": 256, "V": 1024, "NH": 2, "U": 128, "E": 8, "K": 2, "G": 32, "P": 4, "s": 2, "d": 0.5}

// published are those of the page: a step of a large model on one GPU.
var published = sizes{"B": 4, "T": 2048, "C": 4096, "OC": 4096, "V": 32768, "NH": 32, "U": 2048, "E": 8, "K": 2, "R": 16384, "P": 8, "s": 2, "d": 0.5}

// eval is the value of a formula in Go's notation, but for the dot.
func (d sizes) eval(t *testing.T, formula string) float64 {
	t.Helper()
	e, err := parser.ParseExpr(strings.ReplaceAll(formula, "·", "*"))
	if err != nil {
		t.Fatalf("%s: %v", formula, err)
	}
	return d.value(t, e)
}

func (d sizes) value(t *testing.T, e ast.Expr) float64 {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return d.value(t, e.X)
	case *ast.BasicLit:
		v, err := strconv.ParseFloat(e.Value, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	case *ast.Ident:
		if v, ok := d[e.Name]; ok {
			return v
		}
		switch e.Name {
		case "N":
			return d["B"] * d["T"]
		case "R": // room for every choice
			return d["B"] * d["T"] * d["E"]
		}
		t.Fatalf("nothing is called %s", e.Name)
	case *ast.BinaryExpr:
		x, y := d.value(t, e.X), d.value(t, e.Y)
		return map[token.Token]float64{token.ADD: x + y, token.SUB: x - y, token.MUL: x * y, token.QUO: x / y}[e.Op]
	}
	t.Fatalf("%T in a formula", e)
	return 0
}

// bed makes operands on a simulated GPU, each once.
type bed struct {
	t    *testing.T
	at   sizes
	dev  kernels.Device
	s    kernels.Stream
	made map[string]kernels.Tensor
}

func (b *bed) dim(formula string) int { return int(b.at.eval(b.t, formula)) }

// of is the tensor of a name, of small values that differ; integers count, as far as there are words or columns of blocks.
func (b *bed) of(name string, dt kernels.DType, shape ...string) kernels.Tensor {
	if x, ok := b.made[name]; ok {
		return x
	}
	dims, n := make([]int, len(shape)), 1
	for i, d := range shape {
		dims[i] = b.dim(d)
		n *= dims[i]
	}
	buf, err := b.dev.Alloc(dt, n)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(buf.Free)
	x, v := kernels.Of(buf, dims...), make([]float64, n)
	for i := range v {
		switch {
		case name == "columns":
			keep := b.dim("C/32*d") // every other block, of the next row the others
			v[i] = float64(i%keep*2 + i/keep%2)
		case name == "meta":
			v[i] = 0x44 // the first two of four, twice
		case name == "v" || name == "state": // no overflow
			v[i] = float64(i % 2)
		case dt == i32:
			v[i] = float64(i % b.dim("V"))
		default:
			v[i] = math.Sin(float64(i) + 0.5)
		}
	}
	b.s.Upload(x, verify.Dense(dt, v))
	b.made[name] = x
	return x
}

// traffic is what the kernels of a roof do.
func (r roof) traffic(t *testing.T) (all []ptxsim.Traffic, at sizes) {
	sim := ptxsim.New(ptxsim.Config{Products: r.library, Capability: 89})
	dev, err := cuda.Open(sim, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dev.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	if r.fma {
		if err := dev.Select(kernels.OpLinear, "fma"); err != nil {
			t.Fatal(err)
		}
	}
	at = maps.Clone(counted)
	maps.Copy(at, r.at)
	b := &bed{t: t, at: at, dev: dev, s: s, made: map[string]kernels.Tensor{}}
	t.Cleanup(func() { s.Close() })
	r.run(b)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	h := sim.Watch()
	r.run(b)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	for _, name := range strings.Fields(r.kernels) {
		found := len(all)
		for _, x := range h.Traffic() {
			if x.Name == name {
				all = append(all, x)
			}
		}
		if len(all) == found {
			t.Fatalf("%s was not launched", name)
		}
	}
	return all, at
}

// Each kernel moves the bytes and computes the operations that docs/cuda-kernels.md says, as its PTX is executed.
func TestKernelsDoWhatTheirRooflinesSay(t *testing.T) {
	for _, r := range roofs {
		t.Run(r.name, func(t *testing.T) {
			all, at := r.traffic(t)
			var bytes, floats, tensors, others float64
			for _, x := range all {
				f, m, o := operations(t, x.Ops)
				bytes, floats, tensors, others = bytes+float64(x.Read+x.Written), floats+f, tensors+m, others+o
			}
			if want := at.eval(t, r.bytes); math.Abs(bytes-want) > 0.005*want {
				t.Errorf("%g bytes, not %s = %g", bytes, r.bytes, want)
			}
			want := at.eval(t, r.flops)
			switch {
			case r.peak != "":
				if tensors != want {
					t.Errorf("%g operations, not %s = %g", tensors, r.flops, want)
				}
			case math.Abs(floats-want) > 0.05*want:
				t.Errorf("%g operations, not %s = %g", floats, r.flops, want)
			}
			if r.others == "" {
				return
			}
			if want := at.eval(t, r.others); math.Abs(others-want) > 0.05*want {
				t.Errorf("%g other instructions, not %s = %g", others, r.others, want)
			}
		})
	}
}

// arithmetic are instructions on floats, by the start of the opcode, and their operations: comparisons, conversions and moves are none.
var arithmetic = map[string]float64{"fma.": 2, "add.": 1, "sub.": 1, "mul.": 1, "div.": 1, "sqrt.": 1, "rsqrt.": 1, "rcp.": 1, "ex2.": 1, "lg2.": 1, "tanh.": 1}

// tensorCore are a warp's products, and the operations of each; of 2:4 ones without the zeros.
var tensorCore = map[string]float64{"mma.sync.aligned.m16n8k8.": 2 * 16 * 8 * 8, "mma.sync.aligned.m16n8k16.": 2 * 16 * 8 * 16, "mma.sync.aligned.m16n8k32.": 2 * 16 * 8 * 32,
	"mma.sp.sync.aligned.m16n8k32.": 16 * 8 * 32}

// operations counts what instructions compute outside of tensor cores and in them, and the instructions that compute nothing of floats.
func operations(t *testing.T, ops map[string]int64) (floats, tensors, others float64) {
	t.Helper()
	started := func(with map[string]float64, name string) float64 {
		for start, n := range with {
			if strings.HasPrefix(name, start) {
				return n
			}
		}
		return 0
	}
	for name, n := range ops {
		if strings.HasPrefix(name, "mma.") {
			each := started(tensorCore, name)
			if each == 0 {
				t.Fatalf("%s is not known", name)
			}
			tensors += float64(n) / 32 * each
			continue
		}
		each := started(arithmetic, name)
		if each > 0 && (strings.Contains(name, ".f") || strings.Contains(name, ".bf16")) {
			floats += float64(n) * each
		} else {
			others += float64(n)
		}
	}
	return floats, tensors, others
}

// vendors are the chips of the table, whose peaks and memory are those of the vendors' data sheets.
var vendors = []string{"A100 80GB SXM", "H100 SXM"}

// floor is the least time of a roof on a chip in seconds, and what bounds it.
func (r roof) floor(t *testing.T, name string) (seconds float64, by string) {
	t.Helper()
	chip, ok := chips.Builtin().Lookup(name)
	bandwidth, known := chip.MemTBPerS.Get()
	peak, given := chip.Vendor(cmp.Or(r.peak, "fp32"), false)
	if !ok || !known || !given {
		t.Fatalf("%s has no figure", name)
	}
	memory, compute := published.eval(t, r.bytes)/bandwidth/1e12, published.eval(t, r.flops)/peak.TOPS/1e12
	if compute > memory {
		return compute, "compute"
	}
	return memory, "memory"
}

// line is a roof's row of the table.
func (r roof) line(t *testing.T) string {
	cells := []string{r.name, r.bytes, r.flops, number(published.eval(t, r.bytes) / 1e6), number(published.eval(t, r.flops) / 1e9)}
	var bounds []string
	for _, chip := range vendors {
		seconds, by := r.floor(t, chip)
		cells, bounds = append(cells, number(seconds*1e6)), append(bounds, by)
	}
	bound := bounds[0]
	if bounds[1] != bound {
		bound += ", then " + bounds[1]
	}
	note := r.note
	if r.others != "" {
		note = r.others + " other instructions"
	}
	return "| " + strings.Join(append(cells, bound, note), " | ") + " |\n"
}

// number has three digits.
func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// The page's table is that of the roofs, at the chip table's peaks.
func TestRooflineTableIsDerived(t *testing.T) {
	const path, begin = "../../docs/cuda-kernels.md", "| kernel | bytes |"
	var want strings.Builder
	want.WriteString(begin + " FLOPs | MB | GFLOP | A100 µs | H100 µs | bound by | notes |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range roofs {
		want.WriteString(r.line(t))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("no table")
	}
	switch {
	case begin+table+"\n" == want.String():
	case *update:
		if err := os.WriteFile(path, []byte(before+want.String()+"\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is stale; -update rewrites it to:\n%s", path, want.String())
	}
}

// untabled are kernels that the table leaves out.
var untabled = map[string]string{
	"add_parts": "a block adds up a thousand numbers", "add_routes": "the same", "update_scale": "one thread",
	"peak": "see TestLoopsDoWhatTheirRatesCount", "stream": "see TestCeilingsAreCheckedAndHaveNoSpeed",
}

// family is a kernel's name without the type, head size, edge and pack that it is compiled for.
func family(kernel string) string {
	words := strings.Split(kernel, "_")
	if _, ok := untabled[words[0]]; ok {
		return words[0]
	}
	for len(words) > 1 && slices.Contains([]string{"float", "f16", "bf16", "packed", "64", "128", "e4m3", "e5m2", "u16", "u32"}, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	return strings.TrimRight(words[0], "0123456789") + strings.TrimPrefix(strings.Join(words, "_"), words[0])
}

// Every kernel that ships has its row, or a reason to have none.
func TestEveryKernelHasARoofline(t *testing.T) {
	has := map[string]bool{}
	for name := range untabled {
		has[name] = true
	}
	for _, r := range roofs {
		for _, name := range strings.Fields(r.kernels) {
			has[family(name)] = true
		}
	}
	files, err := filepath.Glob("../../kernels/cuda/src/*.ptx")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range strings.Split(string(text), ".entry ")[1:] {
			if name, _, _ := strings.Cut(entry, "("); !has[family(name)] {
				t.Errorf("%s: %s has no roofline", filepath.Base(file), name)
			}
		}
	}
}
