package workload

import (
	"embed"
	"fmt"
	"io/fs"
	"os"

	"ofpeak/docs"
	"ofpeak/kernels/block"
)

//go:embed *.go
var source embed.FS

// Corpus is the text that the language-model check trains on, one token a byte.
type Corpus []byte

// DefaultCorpus is the project's own documentation and this package's source: real text that every build carries.
func DefaultCorpus() Corpus {
	var text Corpus
	for _, files := range []fs.FS{docs.Files, source} {
		names, err := fs.Glob(files, "*")
		if err != nil {
			panic("workload: bad pattern for the embedded files")
		}
		for _, name := range names {
			b, err := fs.ReadFile(files, name)
			if err != nil {
				panic("workload: an embedded file cannot be read")
			}
			text = append(text, b...)
		}
	}
	return text
}

// ReadCorpus reads the user's text for sequences of length t.
func ReadCorpus(path string, t int) (Corpus, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--data: %w; name a text file, or leave it out", err)
	}
	if len(b) < 2*t {
		return nil, fmt.Errorf("--data %s: %d bytes are too few to train on sequences of %d; give at least %d", path, len(b), t, 2*t)
	}
	return b, nil
}

// Window is the t bytes of one sequence of one step, and the t bytes that follow each of them: the same for every strategy.
func (c Corpus) Window(seed uint64, step, sequence, t int) (ids, next []byte) {
	at := int(block.Hash(seed, uint64(step), uint64(sequence)) % uint64(len(c)-t))
	return c[at : at+t], c[at+1 : at+t+1]
}
