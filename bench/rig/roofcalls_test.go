package rig

import "ofpeak/kernels"

// routing is one that has been made.
func (b *bed) routing() kernels.Routing {
	r := kernels.Routing{Group: b.dim("G"), Capacity: b.dim("G"), Probs: b.of("probs", f32, "N", "E"), Gates: b.of("gates", f32, "N", "K"),
		Choices: b.of("choices", i32, "N", "K"), Rows: b.of("places", i32, "N", "K"), Tokens: b.of("tokens", i32, "R")}
	b.s.RouteForward(r, b.of("stats", f32, "3"), b.of("logits", bf16, "N", "E"), 4)
	return r
}

// weight is one of OC by C.
func (b *bed) weight(l kernels.Layout, dt kernels.DType) kernels.Weight {
	w := kernels.Weight{Layout: l, OC: b.dim("OC"), C: b.dim("C")}
	values := "OC*C*d"
	switch l.Format {
	case kernels.Dense:
		values = "OC*C"
	case kernels.Sparse24:
		w.Meta = b.of("meta", kernels.U8, "OC*C/8")
	case kernels.BlockSparse:
		w.Meta = b.of("columns", i32, "OC*C*d/1024")
	}
	w.Values = b.of("w", dt, values)
	return w
}

func forward(l kernels.Layout, dt, math kernels.DType) func(b *bed) {
	return func(b *bed) {
		w := b.weight(l, dt)
		w.Math = math
		b.s.LinearForward(b.of("y", dt, "N", "OC"), b.of("x", dt, "N", "C"), w, kernels.Epilogue{})
	}
}

func input(l kernels.Layout, dt, math kernels.DType) func(b *bed) {
	return func(b *bed) {
		w := b.weight(l, dt)
		w.Math = math
		b.s.LinearBackwardInput(b.of("x", dt, "N", "C"), b.of("y", dt, "N", "OC"), w, kernels.Epilogue{})
	}
}

func gradient(l kernels.Layout, dt, math kernels.DType) func(b *bed) {
	return func(b *bed) {
		w := b.weight(l, f32)
		w.Math = math
		b.s.LinearBackwardWeight(w, b.of("dbias", f32, "OC"), b.of("y", dt, "N", "OC"), b.of("x", dt, "N", "C"))
	}
}

// int8 is a weight of OC by C.
func (b *bed) int8() kernels.Weight {
	return kernels.Weight{Layout: kernels.Layout{Format: kernels.Int8}, OC: b.dim("OC"), C: b.dim("C"), Values: b.of("w", i8, "OC", "C"), Scale: b.of("scale", f32, "OC")}
}

func int8Forward(b *bed) {
	b.s.LinearForward(b.of("y", bf16, "N", "OC"), b.of("x", bf16, "N", "C"), b.int8(), kernels.Epilogue{})
}

// fp8Input is a product that a library computes on 8-bit floats.
func fp8Input(b *bed) {
	w := b.weight(dense, bf16)
	w.Math = kernels.FP8
	b.s.LinearBackwardInput(b.of("dx", bf16, "N", "C"), b.of("y", bf16, "N", "OC"), w, kernels.Epilogue{Act: kernels.GELU, Aux: b.of("aux", bf16, "N", "C")})
}

// passes are the three products of a linear layer in fp32.
func passes(l kernels.Layout) func(b *bed) {
	return func(b *bed) {
		forward(l, f32, 0)(b)
		input(l, f32, 0)(b)
		gradient(l, f32, 0)(b)
	}
}

func encoding(l kernels.Layout) func(b *bed) {
	return func(b *bed) { b.s.Encode(b.weight(l, bf16), b.of("dense", f32, "OC", "C")) }
}

func decoding(l kernels.Layout) func(b *bed) {
	return func(b *bed) { b.s.Decode(b.of("dense", f32, "OC", "C"), b.weight(l, bf16)) }
}

func (b *bed) heads(name string, dt kernels.DType, length, parts string) kernels.Tensor {
	if parts == "" {
		return b.of(name, dt, "B", length, "NH", "C/NH")
	}
	return b.of(name, dt, "B", length, parts, "NH", "C/NH")
}

func (b *bed) stats(name string) kernels.Tensor { return b.of(name, f32, "B", "NH", "T") }

func attention(dt kernels.DType) func(b *bed) {
	return func(b *bed) {
		b.s.AttentionForward(b.heads("out", dt, "T", ""), b.stats("lse"), b.heads("qkv", dt, "T", "3"))
	}
}

func attentionBackward(dt kernels.DType) func(b *bed) {
	return func(b *bed) {
		b.s.AttentionBackward(b.heads("dqkv", dt, "T", "3"), b.stats("sums"), b.heads("dout", dt, "T", ""), b.heads("out", dt, "T", ""), b.stats("lse"), b.heads("qkv", dt, "T", "3"))
	}
}

func extension(dt kernels.DType) func(b *bed) {
	return func(b *bed) {
		b.s.AttentionExtendForward(b.heads("out", dt, "T", ""), b.stats("lse"), b.heads("qkv", dt, "T", "3"), b.heads("kv", dt, "U", "2"))
	}
}

func extensionBackward(dt kernels.DType) func(b *bed) {
	return func(b *bed) {
		b.s.AttentionExtendBackward(b.heads("dqkv", dt, "T", "3"), b.heads("dkv", dt, "U", "2"), b.stats("sums"), b.heads("dout", dt, "T", ""), b.stats("lse"),
			b.heads("qkv", dt, "T", "3"), b.heads("kv", dt, "U", "2"))
	}
}
