package ptxsim

import (
	"slices"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// Two streams write the same words, two others only read them; events and the host put some of it in order.
func TestHistoryTellsWhatIsInNoOrder(t *testing.T) {
	for name, c := range map[string]struct {
		run   func(h *two)
		races []string
	}{
		"nothing between":     {func(h *two) { h.fill(h.a); h.fill(h.b) }, []string{"Memset8 and Memset8 in no order"}},
		"reads only":          {func(h *two) { h.fill(h.a); h.wait(h.b, h.a); h.read(h.a); h.read(h.b) }, nil},
		"a write after reads": {func(h *two) { h.fill(h.a); h.wait(h.b, h.a); h.read(h.b); h.fill(h.a) }, []string{"CopyToHost and Memset8 in no order"}},
		"an event":            {func(h *two) { h.fill(h.a); h.wait(h.b, h.a); h.fill(h.b) }, nil},
		"an event too early":  {func(h *two) { h.wait(h.b, h.a); h.fill(h.a); h.fill(h.b) }, []string{"Memset8 and Memset8 in no order"}},
		"the host": {func(h *two) {
			h.fill(h.a)
			h.check(h.a.Synchronize())
			h.fill(h.b)
		}, nil},
		"the host, of the other stream": {func(h *two) {
			h.fill(h.a)
			h.check(h.b.Synchronize())
			h.fill(h.b)
		}, []string{"Memset8 and Memset8 in no order"}},
		"other words": {func(h *two) {
			h.check(h.a.Memset8(h.at, 1, 32))
			h.check(h.b.Memset8(h.at+32, 1, 32))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTwo(t)
			c.run(h)
			h.check(h.ctx.Synchronize())
			h.history.Stop()
			var got []string
			for _, r := range h.history.Races(nil) {
				got = append(got, r.String())
			}
			if !slices.Equal(got, c.races) {
				t.Errorf("got %q, want %q", got, c.races)
			}
			if c.races == nil && len(h.history.Waits()) > 0 && name == "an event" {
				if len(h.history.Races(func(n int) bool { return n == 0 })) != 1 {
					t.Error("without the wait all is in order")
				}
			}
			h.close()
		})
	}
}

// two streams of a device.
type two struct {
	t       *testing.T
	history *History
	ctx     driver.Context
	a, b    driver.Stream
	at      driver.Ptr
	host    []byte
	events  []driver.Event
}

func newTwo(t *testing.T) *two {
	d := New(Config{})
	h := &two{t: t, history: d.Watch()}
	var errs [5]error
	h.ctx, errs[0] = d.NewContext(0)
	h.a, errs[1] = h.ctx.NewStream()
	h.b, errs[2] = h.ctx.NewStream()
	h.at, errs[3] = h.ctx.Alloc(64)
	h.host, errs[4] = h.ctx.AllocHost(64)
	for _, err := range errs {
		h.check(err)
	}
	return h
}

func (h *two) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *two) fill(s driver.Stream) { h.check(s.Memset8(h.at, 1, 64)) }
func (h *two) read(s driver.Stream) { h.check(s.CopyToHost(h.host, h.at)) }

// wait makes one stream wait for what the other has been given.
func (h *two) wait(s, other driver.Stream) {
	e, err := h.ctx.NewEvent(false)
	h.check(err)
	h.check(other.Record(e))
	h.check(s.Wait(e))
	h.events = append(h.events, e)
}

func (h *two) close() {
	for _, e := range h.events {
		h.check(e.Close())
	}
	h.check(h.a.Close())
	h.check(h.b.Close())
	h.check(h.ctx.Free(h.at))
	h.check(h.ctx.FreeHost(h.host))
	h.check(h.ctx.Close())
}
