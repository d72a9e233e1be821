package ptx

import (
	"strconv"
	"strings"
)

// statement reads one statement of a kernel's body.
func (p *parser) statement() {
	k := p.kernel
	switch word := p.peek(); {
	case word == "{":
		p.next()
		p.count++
		p.scopes = append(p.scopes, map[string]string{})
		for !p.accept("}") {
			p.statement()
		}
		p.scopes = p.scopes[:len(p.scopes)-1]
	case word == ".reg":
		p.registers()
	case word == ".shared" || word == ".local":
		k.Vars = append(k.Vars, p.variable(false))
	case word == ".pragma":
		p.next()
		p.next()
		p.expect(";")
	case word == ".loc" || word == ".file":
		p.skipLine()
	case word[0] == '.':
		p.fail("unknown directive %q", word)
	case p.at+1 < len(p.tokens) && p.tokens[p.at+1].text == ":":
		if _, ok := k.Labels[word]; ok {
			p.fail("label %s is there twice", word)
		}
		k.Labels[word] = len(k.Body)
		p.at += 2
	case word == ";":
		p.next()
	default:
		k.Body = append(k.Body, p.instruction())
	}
}

// registers reads ".reg .f32 %f<238>;" or ".reg .pred p, q;". A name declared in nested braces hides the same name outside.
func (p *parser) registers() {
	p.next()
	t := Type(strings.TrimPrefix(p.next(), "."))
	if t.Size() == 0 && t != "pred" {
		p.fail("registers of type %q are not supported", t)
	}
	for {
		name := p.next()
		if p.accept("<") {
			for i := range p.integer() {
				p.declare(name+strconv.Itoa(i), t)
			}
			p.expect(">")
		} else {
			p.declare(name, t)
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(";")
}

func (p *parser) declare(name string, t Type) {
	unique := name
	if n := len(p.scopes); n > 0 {
		unique = name + "@" + strconv.Itoa(p.count)
		p.scopes[n-1][name] = unique
	}
	if _, ok := p.kernel.Regs[unique]; ok {
		p.fail("register %s is declared twice", name)
	}
	p.kernel.Regs[unique] = t
}

// resolve finds the innermost register of a name.
func (p *parser) resolve(name string) string {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		if unique, ok := p.scopes[i][name]; ok {
			return unique
		}
	}
	return name
}

func (p *parser) instruction() Instr {
	in := Instr{Line: p.line()}
	if p.accept("@") {
		in.GuardNot = p.accept("!")
		in.Guard = p.resolve(p.next())
		if p.kernel.Regs[in.Guard] != "pred" {
			p.fail("guard %s is no predicate", in.Guard)
		}
	}
	parts := strings.Split(p.next(), ".")
	in.Op, in.Mods = parts[0], parts[1:]
	if p.accept(";") {
		return in
	}
	for {
		in.Args = append(in.Args, p.operand())
		if !p.accept(",") {
			break
		}
	}
	p.expect(";")
	return in
}

// operand reads one operand with what follows it: a second destination behind "|", or an offset.
func (p *parser) operand() Operand {
	o := p.simple()
	if p.accept("|") {
		return Operand{Kind: Pair, Sub: []Operand{o, p.simple()}}
	}
	if o.Kind == Symbol {
		o.Off = p.offset()
	}
	return o
}

func (p *parser) simple() Operand {
	switch word := p.next(); {
	case word == "_":
		return Operand{Kind: Sink}
	case word == "!":
		o := p.simple()
		o.Not = true
		return o
	case word == "-":
		o := p.simple()
		if o.Kind != Int {
			p.fail("a minus before what is no integer")
		}
		o.Bits = -o.Bits
		return o
	case word == "[":
		base := p.simple()
		o := Operand{Kind: Mem, Off: p.offset(), Sub: []Operand{base}}
		p.expect("]")
		return o
	case word == "{":
		o := Operand{Kind: Vector}
		for {
			o.Sub = append(o.Sub, p.operand())
			if !p.accept(",") {
				break
			}
		}
		p.expect("}")
		return o
	case word[0] >= '0' && word[0] <= '9':
		return p.number(word)
	default:
		name := p.resolve(word)
		if p.kernel != nil && p.kernel.Regs[name] != "" || word[0] == '%' {
			return Operand{Kind: Reg, Name: name}
		}
		if !isWord(word[0]) {
			p.at--
			p.fail("%q where an operand belongs", word)
		}
		return Operand{Kind: Symbol, Name: word}
	}
}

// offset reads "+8" or "-8", if it is there.
func (p *parser) offset() int64 {
	switch {
	case p.accept("+"):
		if p.accept("-") {
			return -int64(p.integer())
		}
		return int64(p.integer())
	case p.accept("-"):
		return -int64(p.integer())
	}
	return 0
}

// number reads 12, 0x1fU, 0f3F800000 or 0d3FF0000000000000.
func (p *parser) number(word string) Operand {
	kind, digits, base := Int, strings.TrimSuffix(word, "U"), 0
	switch {
	case len(word) == 10 && (strings.HasPrefix(word, "0f") || strings.HasPrefix(word, "0F")):
		kind, digits, base = Float32, word[2:], 16
	case len(word) == 18 && (strings.HasPrefix(word, "0d") || strings.HasPrefix(word, "0D")):
		kind, digits, base = Float64, word[2:], 16
	}
	bits, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		p.at--
		p.fail("%q is no number", word)
	}
	return Operand{Kind: kind, Bits: bits}
}
