package kernels

import "math"

// DType is the storage type of a Buffer's elements.
type DType uint8

const (
	F64 DType = iota + 1
	F32
	F16  // IEEE 754 binary16
	BF16 // the upper half of a binary32
	I32
	I8
	U8
	// TF32 is what a product makes of float32 factors: 11 of their 24 digits (NVIDIA, "A100 Tensor Core GPU Architecture", 2020). Nothing is stored in it.
	TF32
	E4M3 // 8 bits, see E4M3FromF32
	E5M2
	// FP8 is what a product makes of its factors in training: E4M3 of activations and weights, E5M2 of gradients, each tensor times a scale of its own, see Scale8
	// (Micikevicius et al., arXiv:2209.05433, section 3). Nothing is stored in it.
	FP8
)

var dtypes = [...]struct {
	name string
	size int
	eps  float64
}{
	F64:  {"fp64", 8, 0x1p-52},
	F32:  {"fp32", 4, 0x1p-23},
	F16:  {"fp16", 2, 0x1p-10},
	BF16: {"bf16", 2, 0x1p-7},
	I32:  {"int32", 4, 0},
	I8:   {"int8", 1, 0},
	U8:   {"uint8", 1, 0},
	TF32: {"tf32", 4, 0x1p-10},
	E4M3: {"e4m3", 1, 0x1p-3},
	E5M2: {"e5m2", 1, 0x1p-2},
	FP8:  {"fp8", 1, 0x1p-2},
}

// DTypes is above every DType.
const DTypes = len(dtypes)

// String is the name used in flags and CSVs: fp64, fp32, fp16, bf16, int32, int8, uint8, tf32, e4m3, e5m2, fp8.
func (d DType) String() string { return dtypes[d].name }

// Size is the size of one element in bytes.
func (d DType) Size() int { return dtypes[d].size }

// Eps is the distance from 1 to the next larger value of a floating-point type, 0 for an integer type.
func (d DType) Eps() float64 { return dtypes[d].eps }

// Max is the largest finite value of a floating-point type.
func (d DType) Max() float64 {
	switch d {
	case F64:
		return math.MaxFloat64
	case F32:
		return math.MaxFloat32
	case F16:
		return 65504
	case BF16:
		return 0x1.fep127
	case E4M3:
		return 448
	case E5M2:
		return 57344
	}
	panic("kernels: Max of an integer type")
}

// Precision says which types one training run mixes (Micikevicius et al., "Mixed Precision Training", arXiv:1710.03740, section 3).
type Precision struct {
	Name string
	// Compute is the type of weights and activations in products; sums are kept in Stats.
	Compute DType
	// Math is what products round their factors to, as in Weight; 0: nothing. The products of attention and of a router of experts do not, nor that of a language
	// model's head to 8 bits (the parts that DeepSeek-AI, arXiv:2412.19437, section 3.3.1, keeps in 16).
	Math DType
	// Stats is the type of gradients, layer statistics and losses.
	Stats DType
	// Master is the type of the optimizer's weights and moments. Where it equals Compute there is no second copy of the weights.
	Master DType
	// ScaleLoss turns on dynamic loss scaling, which a type of few exponent bits needs.
	ScaleLoss bool
	// Int8 says that the products of the forward pass run on 8-bit integers; there is no backward pass.
	Int8 bool
}

// Factors is the type of the factors of the products of the blocks' weights.
func (p Precision) Factors() DType {
	switch {
	case p.Int8:
		return I8
	case p.Math != 0:
		return p.Math
	}
	return p.Compute
}

// Head is the precision of the product of a language model's head.
func (p Precision) Head() Precision {
	if p.Math == FP8 {
		p.Math = 0
	}
	p.Int8 = false
	return p
}

// Precisions are the supported mixtures in the order in which they are listed to users. fp64 serves the reference only.
var Precisions = []Precision{
	{Name: "fp64", Compute: F64, Stats: F64, Master: F64},
	{Name: "fp32", Compute: F32, Stats: F32, Master: F32},
	{Name: "tf32", Compute: F32, Math: TF32, Stats: F32, Master: F32},
	{Name: "bf16", Compute: BF16, Stats: F32, Master: F32},
	{Name: "fp16", Compute: F16, Stats: F32, Master: F32, ScaleLoss: true},
	{Name: "fp8", Compute: BF16, Math: FP8, Stats: F32, Master: F32},
	{Name: "int8", Compute: F32, Stats: F32, Master: F32, Int8: true},
}

// PrecisionNamed finds a precision by its name.
func PrecisionNamed(name string) (Precision, bool) {
	for _, p := range Precisions {
		if p.Name == name {
			return p, true
		}
	}
	return Precision{}, false
}
