package cudriver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// headersEnv names the folder that scripts/cuda-headers.sh fills: NVIDIA's cuda.h of each version, as VERSION/cuda.h.
const headersEnv = "OFPEAK_CUDA_HEADERS"

// versions of CUDA that our header is held against, and what differs: the mask grew with new flags, which cu does not use, and the plain name of a node's
// parameters became a larger structure, for a function of another symbol.
var versions = []struct {
	name   string
	differ []string
}{
	{name: "11.8"},
	{name: "12.9", differ: []string{"CU_CTX_FLAGS_MASK", "sizeof(CUDA_KERNEL_NODE_PARAMS)"}},
	{name: "13.5", differ: []string{"CU_CTX_FLAGS_MASK", "sizeof(CUDA_KERNEL_NODE_PARAMS)"}},
}

func TestFunctionsAgreeWithNVIDIA(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) { compile(t, fmt.Sprintf(signatures, header(t, v.name))) })
	}
}

// signatures first takes the type of each of our functions, which fails for one that the header does not declare, and then declares it anew, which fails
// where the types differ. __CUDA_API_VERSION_INTERNAL makes the header show the functions of all versions under their symbols' names.
const signatures = `
#define __CUDA_API_VERSION_INTERNAL
#include %q
#define CUDA_FUNCTION(name, parameters) typedef __typeof__(name) *declared_##name;
#include "include/cuda_functions.h"
#undef CUDA_FUNCTION
#define CUDA_FUNCTION(name, parameters) extern CUresult name parameters;
#include "include/cuda_functions.h"
`

func TestSignaturesThatDifferAreFound(t *testing.T) {
	const create, launch = "CUDA_FUNCTION(cuCtxCreate_v2, (CUcontext *, unsigned int, CUdevice))\n", "CUDA_FUNCTION(cuLaunchKernel, "
	for name, c := range map[string]struct{ old, new, want string }{
		"another argument": {create, strings.Replace(create, "(CUcontext *", "(CUcontext *, void *", 1), "cuCtxCreate_v2"},
		"another type":     {create, strings.Replace(create, "unsigned int", "size_t", 1), "cuCtxCreate_v2"},
		"another name":     {launch, strings.Replace(launch, "Kernel", "Kernel_v2", 1), "cuLaunchKernel"},
		"none":             {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range []string{"cuda.h", "cuda_values.h", "cuda_functions.h"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(read(t, file), c.old, c.new, 1)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := syntax(t, fmt.Sprintf(signatures, filepath.Join(dir, "cuda.h")))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}

func TestValuesAndLayoutsAgreeWithNVIDIA(t *testing.T) {
	facts := ourFacts(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			source := fmt.Sprintf("#include <stddef.h>\n#include %q\n", header(t, v.name))
			for _, f := range facts {
				equal := "=="
				if slices.Contains(v.differ, f.expression) {
					equal = "!="
				}
				source += fmt.Sprintf("_Static_assert(%s %s %s, \"%s\");\n", f.expression, equal, f.value, f.expression)
			}
			compile(t, source)
		})
	}
}

// fact is something about our header: a constant's value, or a type's size or a field's offset.
type fact struct{ expression, value string }

var (
	enumerator = regexp.MustCompile(`(?m)^(?:\t|#define )(CU\w+) (?:= )?(?:0x)?[0-9a-f]+,?$`)
	typeName   = regexp.MustCompile(`(?m)^(?:typedef [^;{]*?\*?|\} )(CU\w+);$`)
	structBody = regexp.MustCompile(`typedef struct \{\n((?:\t[^\n]*\n)+)\} (\w+);`)
	fieldName  = regexp.MustCompile(`(\w+)(?:\[\d+\])?;`)
)

// ourFacts asks the compiler about every constant, type and field of our header.
func ourFacts(t *testing.T) []fact {
	t.Helper()
	var facts []fact
	types, values := read(t, "cuda.h"), read(t, "cuda_values.h")
	for _, m := range enumerator.FindAllStringSubmatch(values, -1) {
		facts = append(facts, fact{expression: m[1]})
	}
	if len(facts) < 270 {
		t.Fatalf("only %d constants were found", len(facts))
	}
	for _, m := range typeName.FindAllStringSubmatch(types+values, -1) {
		facts = append(facts, fact{expression: "sizeof(" + m[1] + ")"})
	}
	for _, s := range structBody.FindAllStringSubmatch(types, -1) {
		for _, f := range fieldName.FindAllStringSubmatch(s[1], -1) {
			facts = append(facts, fact{expression: "offsetof(" + s[2] + ", " + f[1] + ")"})
		}
	}
	evaluate(t, facts)
	return facts
}

func evaluate(t *testing.T, facts []fact) {
	t.Helper()
	source := "#include <stddef.h>\n#include <stdio.h>\n#include \"include/cuda.h\"\nint main(void) {\n"
	for _, f := range facts {
		source += fmt.Sprintf("\tprintf(\"%%lld\\n\", (long long)%s);\n", f.expression)
	}
	program := filepath.Join(t.TempDir(), "facts")
	if err := cc(t, source+"}\n", "-o", program); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program).Output()
	lines := strings.Fields(string(out))
	if err != nil || len(lines) != len(facts) {
		t.Fatalf("%d lines for %d facts, %v", len(lines), len(facts), err)
	}
	for i := range facts {
		facts[i].value = lines[i]
	}
}

// agree holds a list of functions against NVIDIA's header: source includes that, list is our file, and macro is what each of its lines calls, with a result's type first
// where result is "type". As in signatures, a declaration after NVIDIA's fails where the types differ; another type of result must fail.
func agree(t *testing.T, source, list, macro, result string, args ...string) {
	t.Helper()
	parameters := "name, parameters"
	if result == "type" {
		parameters = "type, name, parameters"
	}
	source += fmt.Sprintf("\n#define %[1]s(%[2]s) typedef __typeof__(name) *declared_##name;\n#include \"include/%[3]s\"\n#undef %[1]s\n#define %[1]s(%[2]s) extern ", macro, parameters, list)
	declare := " name parameters;\n#include \"include/" + list + "\"\n"
	args = append(args, "-fsyntax-only")
	if err := cc(t, source+result+declare, args...); err != nil {
		t.Error(err)
	}
	if cc(t, source+"int *"+declare, args...) == nil {
		t.Error("another type of result was accepted")
	}
}

var constant = regexp.MustCompile(`(?m)^(?:\t|#define )([A-Za-z]\w+) (?:= )?(-?\d+),?$`)

// constants asserts the values of one of our headers, of which there must be so many at least, and facts about its types.
func constants(t *testing.T, header string, least int, facts ...string) (assertions string) {
	t.Helper()
	values := constant.FindAllStringSubmatch(read(t, header), -1)
	if len(values) < least {
		t.Fatalf("only %d values were found in %s", len(values), header)
	}
	for _, m := range values {
		facts = append(facts, m[1]+" == "+m[2])
	}
	for _, f := range facts {
		assertions += fmt.Sprintf("_Static_assert(%s, \"%s\");\n", f, f)
	}
	compile(t, fmt.Sprintf("#include <stddef.h>\n#include \"include/%s\"\n%s", header, assertions))
	return "\n#include <stddef.h>\n" + assertions
}

// Each plain name that cu calls leads to a function that the stub has.
func TestPlainNamesAreFunctions(t *testing.T) {
	known := functions(t)
	plain := regexp.MustCompile(`(?m)^#define (cu\w+) (\w+)$`).FindAllStringSubmatch(read(t, "cuda.h"), -1)
	for _, m := range plain {
		if !slices.Contains(known, m[2]) || !strings.HasPrefix(m[2], m[1]+"_v") {
			t.Errorf("%s leads to %s", m[1], m[2])
		}
	}
	if len(plain) < 40 || len(known) < 160 {
		t.Errorf("only %d names and %d functions", len(plain), len(known))
	}
}

func functions(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^CUDA_FUNCTION\((\w+), `).FindAllStringSubmatch(read(t, "cuda_functions.h"), -1) {
		names = append(names, m[1])
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("include", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// header is the path of NVIDIA's header.
func header(t *testing.T, version string) string {
	t.Helper()
	return fetched(t, filepath.Join(version, "cuda.h"))
}

// lacking skips a test for want of something, or fails where all must run.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("OFPEAK_REQUIRE") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func compile(t *testing.T, source string) {
	t.Helper()
	if err := syntax(t, source); err != nil {
		t.Error(err)
	}
}

// syntax lets the compiler check a text.
func syntax(t *testing.T, source string) error { return cc(t, source, "-fsyntax-only") }

// cc runs the C compiler on a text.
func cc(t *testing.T, source string, args ...string) error {
	t.Helper()
	compiler, err := exec.LookPath("cc")
	if err != nil {
		lacking(t, "no C compiler: install gcc or clang")
	}
	cmd := exec.Command(compiler, append([]string{"-I.", "-w", "-x", "c", "-"}, args...)...)
	cmd.Stdin = strings.NewReader(source)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %.2000s", err, stderr.String())
	}
	return nil
}
