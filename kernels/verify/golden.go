package verify

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"

	"ofpeak/kernels"
)

// Output is what a case wrote to one of its operands.
type Output struct {
	Name   string
	Values []float64
	Scale  float64 // size of the terms that each value is a sum of; see kernels.RelErrorAt
}

// Golden is what many cases wrote as one device computed them, to hold another one's outputs against bit by bit: both may be right, within the tolerance of the reference, and
// still differ. It keeps a sum over each output's bits, and some of its values.
type Golden struct {
	Device  string
	Seed    uint64
	outputs map[string]golden
}

// golden is one output.
type golden struct {
	Len    int
	Sum    uint64 // FNV-1a over the bits of all values as float32, every NaN being one
	Sample []float32
}

// maxSample bounds how many values of an output are kept, spread over all of it.
const maxSample = 64

// NewGolden is one without outputs yet, of the cases of a seed.
func NewGolden(device string, seed uint64) *Golden {
	return &Golden{Device: device, Seed: seed, outputs: map[string]golden{}}
}

// Len is the number of outputs.
func (g *Golden) Len() int { return len(g.outputs) }

// Add keeps what a case wrote in a variant. Devices store float32 at most, which keeps every bit.
func (g *Golden) Add(variant string, c Case, outs []Output) error {
	for _, o := range outs {
		for _, x := range o.Values {
			if float64(float32(x)) != x && x == x {
				return fmt.Errorf("%s of %v: %v is no float32", o.Name, c, x)
			}
		}
		kept := golden{Len: len(o.Values), Sum: sumOf(o.Values)}
		for _, x := range sampled(o.Values) {
			kept.Sample = append(kept.Sample, float32(x))
		}
		g.outputs[key(variant, c, o)] = kept
	}
	return nil
}

func key(variant string, c Case, o Output) string {
	return fmt.Sprintf("%s %v %d %s", variant, c, c.seed, o.Name)
}

func sumOf(values []float64) uint64 {
	h := fnv.New64a()
	var word [4]byte
	for _, x := range values {
		b := math.Float32bits(float32(x))
		if x != x {
			b = math.Float32bits(float32(math.NaN()))
		}
		binary.LittleEndian.PutUint32(word[:], b)
		h.Write(word[:])
	}
	return h.Sum64()
}

func sampled(values []float64) (some []float64) {
	n := min(len(values), maxSample)
	for i := range n {
		some = append(some, values[i*len(values)/n])
	}
	return some
}

// Difference is how outputs differ from golden ones.
type Difference struct {
	Outputs  int // that were compared
	Differ   int // of them, in any bit of any value
	Missing  int // that the golden ones do not have
	RelError float64
}

// Join adds another case's.
func (d Difference) Join(o Difference) Difference {
	return Difference{d.Outputs + o.Outputs, d.Differ + o.Differ, d.Missing + o.Missing, max(d.RelError, o.RelError)}
}

// Compare holds what a case wrote in a variant against the golden outputs. The relative error is of the values that were kept.
func (g *Golden) Compare(variant string, c Case, outs []Output) (d Difference) {
	for _, o := range outs {
		want, ok := g.outputs[key(variant, c, o)]
		if !ok || want.Len != len(o.Values) {
			d.Missing++
			continue
		}
		d.Outputs++
		if sumOf(o.Values) != want.Sum {
			d.Differ++
		}
		wide := make([]float64, len(want.Sample))
		for i, w := range want.Sample {
			wide[i] = float64(w)
		}
		d.RelError = max(d.RelError, kernels.RelErrorAt(sampled(o.Values), wide, o.Scale))
	}
	return d
}

// goldenFile is Golden as it is stored.
type goldenFile struct {
	Version int
	Device  string
	Seed    uint64
	Outputs map[string]golden
}

const goldenVersion = 1

// Write stores the outputs, compressed.
func (g *Golden) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	err := gob.NewEncoder(z).Encode(goldenFile{goldenVersion, g.Device, g.Seed, g.outputs})
	return errors.Join(err, z.Close())
}

// ReadGolden reads what Write stored.
func ReadGolden(r io.Reader) (*Golden, error) {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, fmt.Errorf("no golden outputs: %w", err)
	}
	var f goldenFile
	if err := gob.NewDecoder(z).Decode(&f); err != nil {
		return nil, fmt.Errorf("no golden outputs: %w", err)
	}
	if f.Version != goldenVersion {
		return nil, fmt.Errorf("golden outputs of version %d; this is %d", f.Version, goldenVersion)
	}
	return &Golden{f.Device, f.Seed, f.Outputs}, nil
}
