//go:build gpu

package cudriver

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
)

// The libcuda.so.1 that the loader finds decides what this runs on: the stand-in (make test-cuda) or a GPU (make test-gpu).
func TestGPUDriverDoesWhatAnyDriverDoes(t *testing.T) {
	drivertest.Run(t, func(*testing.T) driver.Driver { return New() })
}

// Goroutines move between threads, and CUDA's current context belongs to a thread.
func TestGPUCallsComeFromAnyGoroutine(t *testing.T) {
	c, err := New().NewContext(0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if err := fillAndRead(c, byte(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// fillAndRead sets memory of its own to v, and reads it.
func fillAndRead(c driver.Context, v byte) error {
	s, err := c.NewStream()
	if err != nil {
		return err
	}
	p, err := c.Alloc(64)
	if err != nil {
		return err
	}
	host, err := c.AllocHost(64)
	if err != nil {
		return err
	}
	err = errors.Join(s.Memset8(p, v, 64), s.CopyToHost(host, p), s.Synchronize())
	if err == nil && strings.Trim(string(host), string([]byte{v})) != "" {
		err = errors.New("got another goroutine's bytes")
	}
	return errors.Join(err, c.FreeHost(host), c.Free(p), s.Close())
}

func TestGPUCompilersLogIsInTheError(t *testing.T) {
	c, err := New().NewContext(0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.LoadModule(".version 7.0\n.target sm_80\n.address_size 64\nnonsense")
	_, log, found := strings.Cut(err.Error(), "(218): ")
	if !found || len(log) < 10 {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestGPUErrorsKeepTheirCodes(t *testing.T) {
	for given, want := range map[error]driver.Error{
		cu.OutOfMemory: driver.ErrOutOfMemory, cu.NotReady: driver.ErrNotReady, cu.Timeout: 909, driver.ErrNotFound: driver.ErrNotFound,
	} {
		if err := failure("Call", given); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "cudriver: Call: cuda: ") {
			t.Errorf("%v: got %v, want %v", given, err, want)
		}
	}
	if err := failure("Call", nil); err != nil {
		t.Errorf("no failure: got %v", err)
	}
}

func TestGPUParametersAreCounted(t *testing.T) {
	got := parameters(drivertest.Module + "\n.visible .entry none()\n{ ret; }\n.entry $two(\n.param .u64 a,\n\t.param .align 8 .b8 b[16]\n) .maxntid 128 { }\n.entry bare { }")
	if want := map[string]int{"add": 3, "none": 0, "$two": 2, "bare": 0}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
