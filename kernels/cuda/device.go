// Package cuda is the kernels.Device of NVIDIA GPUs. Its kernels are the CUDA C++ files in src, compiled ahead to the PTX that lies beside them and is embedded here;
// a driver.Driver runs them: the real one, or the interpreter of package ptxsim, which runs the very same PTX without a GPU.
//
// It is not a binding of CUDA (that is package driver). Of NVIDIA's libraries it uses cuBLASLt for dense products and cuSPARSELt for those with 2:4 weights, where they are installed.
package cuda

import (
	"embed"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

//go:embed src/*.ptx
var sources embed.FS

// Device implements kernels.Device.
type Device struct {
	ctx      driver.Context
	info     driver.DeviceInfo
	mem      kernels.Memory
	setup    driver.Stream // zeroes fresh memory
	modules  map[string]driver.Module
	kernels  map[string]driver.Function
	selected map[kernels.Op]string
	reached  map[*Device]bool // the devices that this one copies from

	products   driver.Products // nil: none
	noProducts error           // why
	sparse     driver.SparseProducts
	noSparse   error
	compressed map[*stream][]*compressedWeight

	untimed atomic.Pointer[error] // the first time between events that the driver did not give; closing tells it, since it was taken for 0
}

// Open opens device i of a driver.
func Open(from driver.Driver, i int) (*Device, error) {
	info, err := from.Device(i)
	if err != nil {
		return nil, fmt.Errorf("cuda: device %d: %w", i, err)
	}
	if info.Major < 8 {
		return nil, fmt.Errorf("cuda: device %d: %w: %s has compute capability %d.%d, the kernels need 8.0", i, kernels.ErrUnsupported, info.Name, info.Major, info.Minor)
	}
	ctx, err := from.NewContext(i)
	if err != nil {
		return nil, fmt.Errorf("cuda: device %d: %w", i, err)
	}
	setup, err := ctx.NewStream()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: device %d: %w", i, err), ctx.Close())
	}
	d := &Device{
		ctx: ctx, info: info, setup: setup,
		modules: map[string]driver.Module{}, kernels: map[string]driver.Function{}, selected: map[kernels.Op]string{}, reached: map[*Device]bool{},
		compressed: map[*stream][]*compressedWeight{},
	}
	if err := d.openLibraries(); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: device %d: %w", i, err), d.Close())
	}
	return d, nil
}

// Info describes the device.
func (d *Device) Info() kernels.Info {
	kind := "cuda"
	if d.info.Simulated {
		kind = "sim"
	}
	return kernels.Info{Kind: kind, Name: d.info.Name, Units: d.info.Multiprocessors}
}

// Supports is nil, or says which kernel is not there.
func (d *Device) Supports(op kernels.Op, t kernels.DType, f kernels.Format) error {
	switch {
	case (t == kernels.TF32 || t == kernels.FP8) && op == kernels.OpLinear && f == kernels.Dense:
		return nil
	case t == kernels.TF32 || t == kernels.FP8:
		return fmt.Errorf("%w: %s of %s weights on %s factors: the CUDA kernels have products of dense weights only", kernels.ErrUnsupported, op, f, t)
	case suffix(t) == "":
		return fmt.Errorf("%w: %s on %s operands: the CUDA kernels compute in fp32 and store fp32, fp16 and bf16", kernels.ErrUnsupported, op, t)
	case len(d.Variants(op)) == 0:
		return fmt.Errorf("%w: there is no CUDA kernel for %s", kernels.ErrUnsupported, op)
	}
	return nil
}

// variants are the implementations of each operator, reference first.
var variants = map[kernels.Op][]string{
	kernels.OpEmbedding: {"rows"},
	kernels.OpLayerNorm: {"rows"},
	kernels.OpLinear:    {"fma", "mma"},
	kernels.OpAttention: {"rows", "flash"},
	kernels.OpLoss:      {"rows"},
	kernels.OpAdamW:     {"fused"},
	kernels.OpExperts:   {"rows"},
}

// Variants lists them.
func (d *Device) Variants(op kernels.Op) []string {
	known := variants[op]
	if op == kernels.OpLinear && d.products != nil {
		known = append(slices.Clone(known), library)
	}
	if op == kernels.OpLinear && d.sparse != nil {
		known = append(slices.Clone(known), sparseLibrary)
	}
	return known
}

// Select makes later calls of op use a variant; "" picks the fastest.
func (d *Device) Select(op kernels.Op, name string) error {
	if name != "" && !slices.Contains(d.Variants(op), name) {
		return fmt.Errorf("%w: the CUDA device has no variant %q of %s, only %q", kernels.ErrUnsupported, name, op, d.Variants(op))
	}
	d.selected[op] = name
	return nil
}

// Memory counts what Alloc gave out.
func (d *Device) Memory() kernels.Memory { return d.mem }

// LimitMemory bounds what Alloc gives out.
func (d *Device) LimitMemory(bytes int64) { d.mem.Limit = bytes }

// ResetPeak forgets earlier peaks.
func (d *Device) ResetPeak() { d.mem.Peak = d.mem.Current }

// Close releases the device. It fails if buffers, streams or events are left.
func (d *Device) Close() error {
	var errs []error
	if d.products != nil {
		errs = append(errs, d.products.Close())
	}
	if d.sparse != nil {
		errs = append(errs, d.sparse.Close())
	}
	for _, m := range d.modules {
		errs = append(errs, m.Close())
	}
	errs = append(errs, d.setup.Close(), d.ctx.Close())
	if err := d.untimed.Load(); err != nil {
		errs = append(errs, fmt.Errorf("the time between events: %w", *err))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cuda: closing device %d: %w", d.ctx.Device(), err)
	}
	return nil
}

// kernel finds a kernel of a source file, which is loaded at its first use.
func (d *Device) kernel(file, name string) (driver.Function, error) {
	if f, ok := d.kernels[name]; ok {
		return f, nil
	}
	m, ok := d.modules[file]
	if !ok {
		text, err := sources.ReadFile("src/" + file + ".ptx")
		if err != nil {
			panic("cuda: a source file is not embedded")
		}
		if m, err = d.ctx.LoadModule(string(text)); err != nil {
			return nil, fmt.Errorf("cuda: loading %s: %w", file, err)
		}
		d.modules[file] = m
	}
	f, err := m.Function(name)
	if err != nil {
		return nil, fmt.Errorf("cuda: %s: %w", file, err)
	}
	d.kernels[name] = f
	return f, nil
}

// castable is a type's name in the kernels that cast, "" for types that they do not know.
func castable(t kernels.DType) string {
	if t == kernels.E4M3 || t == kernels.E5M2 {
		return t.String()
	}
	return suffix(t)
}

// suffix is a storage type's name in the kernels that compute, "" for types that they do not know.
func suffix(t kernels.DType) string {
	switch t {
	case kernels.F32:
		return "float"
	case kernels.F16:
		return "f16"
	case kernels.BF16:
		return "bf16"
	}
	return ""
}
