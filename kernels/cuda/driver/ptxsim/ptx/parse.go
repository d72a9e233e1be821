package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is a place in the text that Parse could not read.
type Error struct {
	Line int
	What string
}

func (e *Error) Error() string { return fmt.Sprintf("ptx: line %d: %s", e.Line, e.What) }

// Parse reads one module.
func Parse(text string) (m *Module, err error) {
	p := &parser{tokens: lex(text), module: &Module{}}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			m, err = nil, e
		}
	}()
	for !p.done() {
		p.directive()
	}
	return p.module, nil
}

// parser walks the tokens. It panics with an *Error, which Parse returns.
type parser struct {
	tokens []token
	at     int
	module *Module
	kernel *Kernel
	scopes []map[string]string // registers declared in nested braces, by name
	count  int                 // of scopes so far
}

func (p *parser) fail(format string, args ...any) {
	line := 0
	if n := len(p.tokens); n > 0 {
		line = p.tokens[min(p.at, n-1)].line
	}
	panic(&Error{line, fmt.Sprintf(format, args...)})
}

func (p *parser) done() bool { return p.at >= len(p.tokens) }

func (p *parser) peek() string {
	if p.done() {
		p.fail("the text ends early")
	}
	return p.tokens[p.at].text
}

func (p *parser) line() int {
	p.peek()
	return p.tokens[p.at].line
}

func (p *parser) next() string {
	t := p.peek()
	p.at++
	return t
}

// accept skips the next token if it is s.
func (p *parser) accept(s string) bool {
	if p.done() || p.peek() != s {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(s string) {
	if t := p.peek(); t != s {
		p.fail("%q where %q belongs", t, s)
	}
	p.at++
}

func (p *parser) integer() int {
	n, err := strconv.ParseInt(p.peek(), 0, 64)
	if err != nil {
		p.fail("%q where a number belongs", p.peek())
	}
	p.at++
	return int(n)
}

// directive reads one statement of the module's level.
func (p *parser) directive() {
	switch word := p.peek(); word {
	case ".version":
		p.next()
		p.module.Version = p.next()
	case ".target":
		p.next()
		p.module.Target = p.next()
		for p.accept(",") {
			p.next()
		}
	case ".address_size":
		p.next()
		if p.integer() != 64 {
			p.fail("only 64-bit addresses are supported")
		}
	case ".visible", ".extern", ".weak":
		p.next()
		if p.peek() == ".func" {
			p.fail("device functions are not supported: inline them")
		}
		if p.peek() == ".entry" {
			p.entry()
			return
		}
		p.module.Vars = append(p.module.Vars, p.variable(word == ".extern"))
	case ".entry":
		p.entry()
	case ".func":
		p.fail("device functions are not supported: inline them")
	case ".global", ".const", ".shared":
		p.module.Vars = append(p.module.Vars, p.variable(false))
	case ".file", ".loc":
		p.skipLine()
	default:
		p.fail("unknown directive %q", word)
	}
}

// skipLine drops the rest of a debug directive, which ends with its line.
func (p *parser) skipLine() {
	for line := p.line(); !p.done() && p.line() == line; {
		p.at++
	}
}

// variable reads ".shared .align 4 .b8 name[32] = {1, 2};".
func (p *parser) variable(extern bool) Var {
	v := Var{Line: p.line(), Space: p.next()[1:], Align: 1}
	if p.accept(".align") {
		v.Align = p.integer()
	}
	t := Type(strings.TrimPrefix(p.next(), "."))
	if t.Size() == 0 {
		p.fail("variables of type %q are not supported", t)
	}
	v.Align = max(v.Align, t.Size())
	v.Name = p.next()
	v.Size = t.Size()
	for p.accept("[") {
		if p.accept("]") {
			v.Dynamic = true
			break
		}
		v.Size *= p.integer()
		p.expect("]")
	}
	if v.Dynamic && !extern {
		p.fail("%s has no size", v.Name)
	}
	if p.accept("=") {
		v.Init = p.initial(t, v.Size)
	}
	p.expect(";")
	return v
}

// initial reads the values of a variable; what is not given is zero.
func (p *parser) initial(t Type, size int) []byte {
	b := make([]byte, 0, size)
	p.accept("{")
	for {
		o := p.operand()
		if o.Kind != Int && o.Kind != Float32 && o.Kind != Float64 {
			p.fail("only numbers are supported as initial values")
		}
		for i := range t.Size() {
			b = append(b, byte(o.Bits>>(8*i)))
		}
		if !p.accept(",") {
			break
		}
	}
	p.accept("}")
	if len(b) > size {
		p.fail("more initial values than elements")
	}
	return b[:size]
}

// entry reads a kernel.
func (p *parser) entry() {
	p.expect(".entry")
	k := &Kernel{Line: p.line(), Name: p.next(), Regs: map[string]Type{}, Labels: map[string]int{}}
	p.kernel = k
	if p.accept("(") && !p.accept(")") {
		for {
			k.Params = append(k.Params, p.param())
			if !p.accept(",") {
				break
			}
		}
		p.expect(")")
	}
	p.performance()
	p.expect("{")
	for !p.accept("}") {
		p.statement()
	}
	k.Body = append(k.Body, Instr{Line: p.tokens[p.at-1].line, Op: "ret"}) // a body's end returns
	p.module.Kernels = append(p.module.Kernels, k)
}

func (p *parser) param() Param {
	p.expect(".param")
	t := Type(strings.TrimPrefix(p.next(), "."))
	if t.Size() == 0 {
		p.fail("parameters of type %q are not supported: one cell of 8 bytes holds each", t)
	}
	for p.accept(".ptr") {
		for strings.HasPrefix(p.peek(), ".") {
			if p.next() == ".align" {
				p.integer()
			}
		}
	}
	name := p.next()
	if p.peek() == "[" {
		p.fail("parameter %s is an array: one cell of 8 bytes holds each", name)
	}
	return Param{name, t}
}

// performance reads the directives between a kernel's parameters and its body.
func (p *parser) performance() {
	for p.peek() != "{" {
		switch d := p.next(); d {
		case ".maxntid", ".reqntid":
			n := p.integer()
			for p.accept(",") {
				n *= p.integer()
			}
			p.kernel.MaxThreads = n
		case ".minnctapersm", ".maxnreg":
			p.integer()
		case ".pragma":
			p.next()
			p.accept(";")
		default:
			p.fail("unknown performance directive %q", d)
		}
	}
}
