package block

import (
	"fmt"
	"math"

	"ofpeak/kernels"
)

// Param is one parameter tensor of a stage. The stage's parameters lie one behind another, in layer order, so that gradient buckets
// and optimizer shards are plain ranges.
type Param struct {
	Name  string
	Layer int // index in Config.Layers
	// Off, Len is the parameter's range of stored values; an 8-bit weight has none in the arenas.
	Off, Len int
	// OC, C is the dense local shape; a vector has OC 1.
	OC, C int
	// Replicated says that every tensor-parallel rank holds the whole tensor.
	Replicated bool
	// Expert says that only the ranks of this expert-parallel rank's kind hold it.
	Expert bool

	id     uint64 // in the whole model
	shard  shard
	std    float64 // of the initial values
	one    bool    // initial values are 1: a gain
	sparse bool    // stored by Config.Layout

	partial bool // with Config.Sequence, each tensor-parallel rank's gradient is of its own tokens only
}

// shard maps a local index of a tensor-parallel shard to the whole tensor. The whole's rows fall in segs equal segments (query, key,
// value), each cut by rows in parts; or its columns are cut in parts.
type shard struct {
	byCol       bool
	segs        int
	parts, part int
}

// Global is the index in the whole dense tensor of element i of the local dense tensor.
func (p Param) Global(i int) int {
	row, col := i/p.C, i%p.C
	if p.Replicated {
		return i
	}
	if p.shard.byCol {
		return row*p.C*p.shard.parts + p.shard.part*p.C + col
	}
	n := p.OC / p.shard.segs
	seg, r := row/n, row%n
	return ((seg*p.shard.parts+p.shard.part)*n+r)*p.C + col
}

// Init is the initial value of element i of the local dense tensor.
func (p Param) Init(seed uint64, i int) float64 {
	if p.one {
		return 1
	}
	if p.std == 0 {
		return 0
	}
	return p.std * Normal(seed, p.id, uint64(p.Global(i)))
}

// align keeps every parameter on a cache line, so that no vector load straddles two.
const align = 16

// layout lists a stage's parameters, and by layer the segments that they make.
func layout(c Config) (ps []Param, layers [][]Segment) {
	at := Segment{}
	for _, i := range c.held() {
		of := layerParams(c, c.Layers()[i], i)
		for slot := range of {
			of[slot].settle(c, i, slot)
		}
		var segments []Segment
		for lo, hi := 0, 0; lo < len(of); lo = hi {
			s := Segment{Expert: c.apart(of[lo]), Group: c.owners(of[lo])}
			for hi = lo; hi < len(of) && c.apart(of[hi]) == s.Expert; hi++ {
			}
			at = s.behind(at, of[lo:hi])
			segments = append(segments, at)
		}
		ps, layers = append(ps, of...), append(layers, segments)
	}
	return ps, layers
}

// apart reports whether a parameter is an expert's that other ranks do not hold.
func (c Config) apart(p Param) bool { return p.Expert && c.Experts.Ranks > 1 }

// owners are the ranks that hold a parameter alike, as far as Shards spreads it over them.
func (c Config) owners(p Param) Group {
	if c.apart(p) {
		return c.Shards.Same
	}
	return c.Shards.All
}

// behind places a segment of parameters behind another.
func (s Segment) behind(last Segment, params []Param) Segment {
	s.Lo, s.Hi = last.Hi, last.Hi
	if last.Ranks > 0 {
		s.own = last.own + last.Len()/last.Ranks
	}
	for i := range params {
		params[i].Off = s.Hi
		s.Hi += roundUp(params[i].Len, align)
	}
	s.Hi = s.Lo + roundUp(s.Len(), s.unit())
	return s
}

// settle completes what a layer's parameters have in common.
func (p *Param) settle(c Config, layer, slot int) {
	p.Layer = layer
	if p.id == 0 {
		p.id = uint64(layer*16 + slot)
	}
	if p.shard.segs == 0 {
		p.shard.segs = 1
	}
	p.shard.parts, p.shard.part = c.TP, c.TPRank
	p.Replicated = p.Replicated || c.TP == 1
	p.Len = p.OC * p.C
	if !p.sparse {
		return
	}
	if c.UnitGain {
		p.std = 1 / math.Sqrt(float64(p.C))
	}
	p.Len = c.Layout.ValueLen(p.OC, p.C)
	if c.Layout.Format == kernels.Int8 {
		p.Len = 0 // 8-bit values do not lie among the floats
	}
}

// layerParams are a layer's parameters in the order of its struct's fields. Scales are GPT-2's: 0.02, and less by the square root of
// the number of residual additions where a product feeds the residual stream (Radford et al. 2019, section 2.3).
func layerParams(c Config, kind LayerKind, layer int) []Param {
	const std = 0.02
	resid := std / math.Sqrt(2*float64(c.L))
	gain := func(name string) Param {
		return Param{Name: name, OC: 1, C: c.C, one: true, Replicated: true, partial: true}
	}
	shift := func(name string) Param { return Param{Name: name, OC: 1, C: c.C, Replicated: true, partial: true} }
	bias := func(name string) Param { return Param{Name: name, OC: 1, C: c.C, Replicated: true} }
	p := c.C / c.TP
	switch kind {
	case Embedding:
		return []Param{
			{Name: "wte", OC: c.V, C: c.C, std: std, Replicated: true},
			{Name: "wpe", OC: c.T, C: c.C, std: std, Replicated: true},
		}
	case Block:
		h := fmt.Sprintf("h%d.", layer)
		ps := []Param{
			gain(h + "ln1.gain"), shift(h + "ln1.bias"),
			{Name: h + "qkv.weight", OC: 3 * p, C: c.C, std: std, sparse: true, shard: shard{segs: 3}},
			{Name: h + "qkv.bias", OC: 3 * p, C: 1, shard: shard{segs: 3}},
			{Name: h + "proj.weight", OC: c.C, C: p, std: resid, sparse: true, shard: shard{byCol: true}},
			bias(h + "proj.bias"),
			gain(h + "ln2.gain"), shift(h + "ln2.bias"),
		}
		if c.Experts.Count > 0 {
			return append(ps, expertParams(c, h, layer, std, resid)...)
		}
		return append(ps, []Param{
			{Name: h + "fc.weight", OC: 4 * p, C: c.C, std: std, sparse: true},
			{Name: h + "fc.bias", OC: 4 * p, C: 1},
			{Name: h + "out.weight", OC: c.C, C: 4 * p, std: resid, sparse: true, shard: shard{byCol: true}},
			bias(h + "out.bias"),
		}...)
	case LMHead:
		return []Param{gain("lnf.gain"), shift("lnf.bias"), {Name: "head.weight", OC: c.V, C: c.C, std: std, Replicated: true}}
	}
	return nil
}
