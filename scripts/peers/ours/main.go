// Command ours answers the peers' line protocol (docs/peers.md): "ours products" with ofpeak's matrix products, "ours train" with its
// training step, "ours gonum" with gonum's BLAS, and so on. It uses the cores that its affinity mask allows, one thread each. It is not a
// benchmark by itself: scripts/peers/peers.py drives it.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"ofpeak/kernels/cpu/team"
)

const (
	seed         = 1
	sampleStream = 99      // of block.Hash: which results are compared
	dataStream   = 1 << 20 // of block.Normal: a training step's input; its target is the next one
)

// work is one prepared request.
type work interface {
	step() error
	// sample gives results that every peer must agree on.
	sample(count int) []float64
	close()
}

// peer prepares requests: operands are made and one call has run before it returns.
type peer interface {
	name() string
	prepare(op, shape, dtype string) (work, error)
}

func main() {
	p, err := newPeer(os.Args[1:])
	if err == nil {
		err = serve(os.Stdin, os.Stdout, p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func newPeer(args []string) (peer, error) {
	cores, err := team.Cores()
	if err != nil {
		return nil, err
	}
	switch strings.Join(args, " ") {
	case "products":
		return newProducts(cores)
	case "train":
		return trainer{cores}, nil
	case "gonum":
		return gonumPeer{}, nil
	case "gorgonia":
		return newGorgonia(len(cores)), nil
	case "gorgonia-default":
		return newGorgonia(0), nil
	case "sparse", "dense", "fp32":
		return newVariant(args[0], cores)
	}
	return nil, errors.New("usage: ours products | sparse | dense | fp32 | gorgonia | gorgonia-default | train | gonum")
}

// newVariant is ofpeak's products with sparse weights, and what those and int8 products are compared with.
func newVariant(name string, cores []int) (peer, error) {
	p, err := newProducts(cores)
	if name == "fp32" {
		return widened{p}, err
	}
	return sparsePeer{p, name == "dense"}, err
}

// serve answers each line of in with a line of out until in ends.
func serve(in io.Reader, out io.Writer, p peer) error {
	if _, err := fmt.Fprintln(out, "ready", p.name()); err != nil {
		return err
	}
	var w work
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		answer, err := "", error(nil)
		answer, w, err = reply(p, w, strings.Fields(lines.Text()))
		if err != nil {
			answer = "no " + strings.Join(strings.Fields(err.Error()), " ") // one line
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// reply answers one request and gives the work that the next one finds.
func reply(p peer, w work, words []string) (string, work, error) {
	switch {
	case len(words) == 4 && words[0] == "prepare":
		if w != nil {
			w.close()
		}
		w, err := p.prepare(words[1], words[2], words[3])
		if err != nil {
			return "", nil, err
		}
		return "ok", w, nil
	case w == nil:
		return "", nil, errors.New("request was prepared")
	case len(words) == 2 && words[0] == "time":
		atLeast, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return "", w, err
		}
		s, err := secondsPerCall(w, atLeast)
		return strconv.FormatFloat(s, 'g', 9, 64), w, err
	case len(words) == 2 && words[0] == "sample":
		count, err := strconv.Atoi(words[1])
		if err != nil {
			return "", w, err
		}
		return strings.Trim(fmt.Sprint(w.sample(count)), "[]"), w, nil
	}
	return "", w, errors.New("such verb; use prepare, time or sample")
}

func secondsPerCall(w work, atLeast float64) (float64, error) {
	start := time.Now()
	for calls := 1; ; calls++ {
		if err := w.step(); err != nil {
			return 0, err
		}
		if s := time.Since(start).Seconds(); s >= atLeast {
			return s / float64(calls), nil
		}
	}
}
