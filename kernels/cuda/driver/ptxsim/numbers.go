package ptxsim

import (
	"encoding/binary"
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// decode is device memory as numbers.
func decode(raw []byte, t driver.Type) []float64 {
	v, le := make([]float64, len(raw)/t.Size()), binary.LittleEndian
	for i := range v {
		at := raw[i*t.Size():]
		switch t {
		case driver.Float64:
			v[i] = math.Float64frombits(le.Uint64(at))
		case driver.Float32:
			v[i] = float64(math.Float32frombits(le.Uint32(at)))
		case driver.Float16:
			v[i] = simt.Decode("f16", uint64(le.Uint16(at)))
		case driver.BFloat16:
			v[i] = simt.Decode("bf16", uint64(le.Uint16(at)))
		case driver.Int32:
			v[i] = float64(int32(le.Uint32(at)))
		case driver.Int8:
			v[i] = float64(int8(at[0]))
		case driver.Uint8:
			v[i] = float64(at[0])
		case driver.E4M3:
			v[i] = float64(kernels.F32FromE4M3(at[0]))
		case driver.E5M2:
			v[i] = float64(kernels.F32FromE5M2(at[0]))
		}
	}
	return v
}

// encode rounds numbers to a type.
func encode(v []float64, t driver.Type) []byte {
	raw, le := make([]byte, 0, len(v)*t.Size()), binary.LittleEndian
	for _, x := range v {
		switch t {
		case driver.Float64:
			raw = le.AppendUint64(raw, math.Float64bits(x))
		case driver.Float32:
			raw = le.AppendUint32(raw, math.Float32bits(float32(x)))
		case driver.Float16:
			raw = le.AppendUint16(raw, uint16(simt.Encode("f16", x)))
		case driver.BFloat16:
			raw = le.AppendUint16(raw, uint16(simt.Encode("bf16", x)))
		case driver.Int32:
			raw = le.AppendUint32(raw, uint32(int32(x)))
		case driver.Int8:
			raw = append(raw, byte(int(x)))
		case driver.Uint8:
			raw = append(raw, byte(int(x)))
		}
	}
	return raw
}
