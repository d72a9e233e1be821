package workload

import (
	"fmt"
	"strconv"
	"strings"
)

// Model gives the dims of a stack of Transformer blocks and the batch that it trains on.
type Model struct {
	Name string // of a preset, "" otherwise
	C    int    // channels
	NH   int    // attention heads
	T    int    // sequence length, tokens
	L    int    // layers (blocks)
	B    int    // sequences of one step, over all ranks and microbatches
	V    int    // vocabulary; 0: no embedding and head, the stack is trained against a teacher's outputs
}

// maxDim bounds every dim, so that sizes computed from them stay in an int.
const maxDim = 1 << 20

// presets are few blocks of the widths of known models: a microbenchmark of the block, since a deep model repeats the same block.
// tiny takes about a millisecond a step on two CPU cores, small some tens, gpt2 under a second. The wide ones are for GPUs: sequences
// of 2048, L=2 so that two pipeline stages exist, except that 175b keeps one block, which with its optimizer fits 40 GB.
// Widths, heads: Radford et al., "Language Models are Unsupervised Multitask Learners", table 2 (gpt2); Brown et al., arXiv:2005.14165,
// table 2.1 (1b, with 16 heads so that they fill C; 7b; 175b).
var presets = []Model{
	{Name: "tiny", C: 64, NH: 4, T: 32, L: 2, B: 8},
	{Name: "small", C: 256, NH: 4, T: 64, L: 2, B: 8},
	{Name: "gpt2", C: 768, NH: 12, T: 1024, L: 1, B: 2},
	{Name: "1b", C: 2048, NH: 16, T: 2048, L: 2, B: 4},
	{Name: "7b", C: 4096, NH: 32, T: 2048, L: 2, B: 4},
	{Name: "175b", C: 12288, NH: 96, T: 2048, L: 1, B: 4},
}

// PresetNames lists the presets by size.
func PresetNames() []string {
	var names []string
	for _, m := range presets {
		names = append(names, m.Name)
	}
	return names
}

// Preset finds a preset by its name.
func Preset(name string) (Model, error) {
	for _, m := range presets {
		if m.Name == name {
			return m, nil
		}
	}
	return Model{}, fmt.Errorf("--model %s is unknown; take one of %s, or all of C=N,NH=N,T=N,L=N,B=N", name, strings.Join(PresetNames(), ", "))
}

// HS is the head size.
func (m Model) HS() int { return m.C / m.NH }

// Tokens is the number of tokens of one step, B·T.
func (m Model) Tokens() int { return m.B * m.T }

// LayerParams is the number of parameters of one block: four matrices of 12·C² elements in all, 9·C biases, 4·C of two LayerNorms.
func (m Model) LayerParams() int { return 12*m.C*m.C + 13*m.C }

// String is the preset's name, or the dims.
func (m Model) String() string {
	for _, p := range presets {
		if p == m {
			return p.Name
		}
	}
	s := fmt.Sprintf("C=%d,NH=%d,T=%d,L=%d,B=%d", m.C, m.NH, m.T, m.L, m.B)
	if m.V != 0 {
		s += ",V=" + strconv.Itoa(m.V)
	}
	return s
}

// ParseModel reads one model: a preset's name, a name with changes (gpt2,B=8), or all of C, NH, T, L and B.
func ParseModel(s string) (Model, error) {
	models, err := ParseModels(s)
	if err != nil {
		return Model{}, err
	}
	if len(models) != 1 {
		return Model{}, fmt.Errorf("--model %s: names %d models where one is wanted", s, len(models))
	}
	return models[0], nil
}

// ParseModels reads models separated by commas. A name starts a model; KEY=N changes the model that was named before it or, with no name
// before it, is one of the dims of a model of its own. A model with a preset's dims is the preset.
func ParseModels(s string) ([]Model, error) {
	var models []Model
	for item := range strings.SplitSeq(s, ",") {
		key, value, isDim := strings.Cut(item, "=")
		if !isDim {
			m, err := Preset(item)
			if err != nil {
				return nil, err
			}
			models = append(models, m)
			continue
		}
		if len(models) == 0 {
			models = append(models, Model{})
		}
		if err := models[len(models)-1].set(key, value); err != nil {
			return nil, fmt.Errorf("--model %s: %w", s, err)
		}
	}
	for i, m := range models {
		if m.C == 0 || m.NH == 0 || m.T == 0 || m.L == 0 || m.B == 0 {
			return nil, fmt.Errorf("--model %s: give all of C, NH, T, L and B, or start with one of %s", s, strings.Join(PresetNames(), ", "))
		}
		models[i] = m.named()
	}
	return models, nil
}

func (m *Model) set(key, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("%s=%s: %w", key, value, plain(err))
	}
	if n < 1 || n > maxDim {
		return fmt.Errorf("%s=%d is outside 1 to %d; pass a number within", key, n, maxDim)
	}
	dims := map[string]*int{"C": &m.C, "NH": &m.NH, "T": &m.T, "L": &m.L, "B": &m.B, "V": &m.V}
	dim, ok := dims[key]
	if !ok {
		return fmt.Errorf("unknown dim %s; known: C, NH, T, L, B, V", key)
	}
	*dim = n
	return nil
}

// named gives the dims of a preset its name, and other dims none.
func (m Model) named() Model {
	for _, p := range presets {
		if m.Name = p.Name; m == p {
			return p
		}
	}
	m.Name = ""
	return m
}
