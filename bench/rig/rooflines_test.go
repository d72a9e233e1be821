package rig

import (
	"ofpeak/kernels"
)

// roof is a kernel, or those of one call: what it moves and computes, as docs/cuda-kernels.md says and the interpreter counts.
type roof struct {
	name    string
	kernels string // how their names start, separated by blanks
	bytes   string // different bytes of memory that each kernel reads and writes
	flops   string
	peak    string // the chip table's type; "" for fp32
	note    string
	others  string       // instructions of threads that are no operation on floats, where they may be what bounds it
	library bool         // a stand-in for cuBLASLt multiplies
	fma     bool         // the variant that is forced
	at      sizes        // that it is counted at; what is 0 is counted's
	run     func(b *bed) // the call, once its operands are there
}

var (
	none   kernels.Tensor
	dense  kernels.Layout
	pairs  = kernels.Layout{Format: kernels.Sparse24}
	blocks = kernels.Layout{Format: kernels.BlockSparse, Block: 32, Keep: 0.5}
)

const (
	i32, f32, bf16, i8 = kernels.I32, kernels.F32, kernels.BF16, kernels.I8

	onSharedMemory = "shared memory: see below"
	fromL2         = "tiles once more from L2 for each 128 rows or columns"
)

var rows = sizes{"T": 4, "C": 4096} // long rows, whose ends count little

var roofs = []roof{
	{name: "add, with a residual", kernels: "add_bf16_packed", bytes: "3·N·C·s", flops: "N·C", run: func(b *bed) {
		b.s.Add(b.of("out", bf16, "N", "C"), b.of("x", bf16, "N", "C"), none, b.of("out", bf16, "N", "C"))
	}},
	{name: "cast of fp32 to bf16", kernels: "cast_bf16_float_packed", bytes: "(4+s)·N·C", flops: "0", run: func(b *bed) {
		b.s.Cast(b.of("out", bf16, "N", "C"), b.of("x", f32, "N", "C"))
	}},
	{name: "columns copied", kernels: "copy_columns_packed", bytes: "2·N·C·s", flops: "0", run: func(b *bed) {
		b.s.CopyColumns(b.of("out", bf16, "N", "2*C"), b.of("x", bf16, "N", "C"), 0, 0, b.dim("C"))
	}},
	{name: "sum of P ranks' parts", kernels: "sum_parts_bf16_packed", bytes: "(P+1)·N·C·s", flops: "(P-1)·N·C", run: func(b *bed) {
		b.s.(interface {
			SumParts(dst, parts kernels.Tensor)
		}).SumParts(b.of("out", bf16, "N*C"), b.of("parts", bf16, "P", "N*C"))
	}},
	{name: "embedding forward", kernels: "embedding_forward_bf16", bytes: "2·N·C·s + T·C·s + 4·N", flops: "N·C", run: func(b *bed) {
		b.s.EmbeddingForward(b.of("out", bf16, "N", "C"), b.of("ids", i32, "B", "T"), b.of("wte", bf16, "V", "C"), b.of("wpe", bf16, "T", "C"))
	}},
	{name: "embedding backward", kernels: "embedding_tokens_bf16 embedding_positions_bf16", bytes: "2·N·C·s + 8·N·C + 8·T·C + 4·N", flops: "4·N·C",
		note: "of tokens that differ; dout is read by either kernel", run: func(b *bed) {
			b.s.EmbeddingBackward(b.of("dwte", f32, "V", "C"), b.of("dwpe", f32, "T", "C"), b.of("dout", bf16, "N", "C"), b.of("ids", i32, "B", "T"))
		}},
	{name: "layernorm forward", kernels: "layernorm_forward_bf16", bytes: "2·N·C·s + 2·C·s + 8·N", flops: "8·N·C + 31·256·N", at: rows, run: func(b *bed) {
		b.s.LayerNormForward(b.of("out", bf16, "N", "C"), b.of("mean", f32, "N"), b.of("rstd", f32, "N"), b.of("x", bf16, "N", "C"), b.of("gain", bf16, "C"), b.of("bias", bf16, "C"))
	}},
	{name: "layernorm backward", kernels: "layernorm_backward_bf16 layernorm_parameters_bf16", bytes: "5·N·C·s + C·s + 16·N + 16·C", flops: "14·N·C + 31·256·N + 14·C", at: rows,
		note: "x and dout are read by either kernel; a residual adds N·C·s", run: func(b *bed) {
			b.s.LayerNormBackward(b.of("dx", bf16, "N", "C"), b.of("dgain", f32, "C"), b.of("dbias", f32, "C"), b.of("dout", bf16, "N", "C"), b.of("x", bf16, "N", "C"),
				b.of("mean", f32, "N"), b.of("rstd", f32, "N"), b.of("gain", bf16, "C"), none)
		}},
	{name: "GELU, apart from a product", kernels: "gelu_forward_bf16_packed", library: true, bytes: "3·N·OC·s", flops: "22·N·OC", note: "with a residual", run: func(b *bed) {
		w := b.weight(dense, bf16)
		w.Math = kernels.FP8
		b.s.LinearForward(b.of("out", bf16, "N", "OC"), b.of("x", bf16, "N", "C"), w, kernels.Epilogue{Act: kernels.GELU, Aux: b.of("aux", bf16, "N", "OC"), Residual: b.of("out", bf16, "N", "OC")})
	}},
	{name: "its gradient, apart from a product", kernels: "gelu_backward_bf16_packed", library: true, bytes: "3·N·C·s", flops: "31·N·C", run: func(b *bed) {
		w := b.weight(dense, bf16)
		w.Math = kernels.FP8
		b.s.LinearBackwardInput(b.of("dx", bf16, "N", "C"), b.of("dout", bf16, "N", "OC"), w, kernels.Epilogue{Act: kernels.GELU, Aux: b.of("aux", bf16, "N", "C")})
	}},
	{name: "cross-entropy", kernels: "cross_entropy_bf16", bytes: "2·N·V·s + 4·N", flops: "31·N·V", at: sizes{"T": 4, "V": 8192}, note: "logits once more from L2", run: func(b *bed) {
		b.s.CrossEntropy(b.of("loss", f32, "1"), b.of("dlogits", bf16, "N", "V"), b.of("logits", bf16, "N", "V"), b.of("ids", i32, "N"), b.dim("N"), b.of("state", f32, "5"))
	}},
	{name: "mean squared error", kernels: "mse_bf16", bytes: "3·N·C·s", flops: "4·N·C", at: sizes{"T": 10240}, run: func(b *bed) {
		b.s.MSE(b.of("loss", f32, "1"), b.of("dx", bf16, "N", "C"), b.of("x", bf16, "N", "C"), b.of("target", bf16, "N", "C"), b.dim("N*C"), b.of("state", f32, "5"))
	}},
	{name: "AdamW, with a 16-bit copy", kernels: "adamw_bf16", bytes: "30·OC·C", flops: "17·OC·C", at: sizes{"C": 1024, "OC": 512}, run: func(b *bed) {
		b.s.AdamW(kernels.AdamWArgs{Param: b.of("param", bf16, "OC*C"), Master: b.of("master", f32, "OC*C"), Grad: b.of("grad", f32, "OC*C"), M: b.of("m", f32, "OC*C"), V: b.of("v", f32, "OC*C"),
			State: b.of("state", f32, "5"), LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1})
	}},
	{name: "overflow check", kernels: "find_float", bytes: "4·OC·C", flops: "0", run: func(b *bed) {
		b.s.FindNonFinite(b.of("state", f32, "5"), b.of("grad", f32, "OC*C"))
	}},
	{name: "route forward", kernels: "choose_bf16 place_choices", bytes: "N·E·(s+8) + 16·N·K + 4·R", flops: "44·N·E", at: sizes{"E": 32}, note: "a group's probabilities and choices by each expert's warp, from L2", run: func(b *bed) {
		b.routing()
	}},
	{name: "route backward", kernels: "route_backward_bf16", bytes: "N·E·(s+4) + 12·N·K", flops: "23·N·E", at: sizes{"E": 32}, run: func(b *bed) {
		b.s.RouteBackward(b.of("dlogits", bf16, "N", "E"), b.of("dgates", f32, "N", "K"), b.routing(), 0.1, 4, b.of("state", f32, "5"))
	}},
	{name: "dispatch", kernels: "dispatch_bf16_packed", bytes: "(R+N)·C·s + 4·R", flops: "N·K·C", note: "a token's row once more from L2 for each further choice", run: func(b *bed) {
		b.s.Dispatch(b.of("rows", bf16, "R", "C"), b.of("x", bf16, "N", "C"), b.routing(), false)
	}},
	{name: "combine", kernels: "combine_bf16_packed", bytes: "(N·K+N)·C·s + 8·N·K", flops: "2·N·K·C", note: "a residual adds N·C·s", run: func(b *bed) {
		b.s.Combine(b.of("out", bf16, "N", "C"), b.of("rows", bf16, "R", "C"), none, b.routing(), true)
	}},
	{name: "gate backward", kernels: "gate_backward_bf16_packed", bytes: "(N·K+N)·C·s + 8·N·K", flops: "2·N·K·C + 160·N·K", run: func(b *bed) {
		b.s.GateBackward(b.of("dgates", f32, "N", "K"), b.of("dout", bf16, "N", "C"), b.of("rows", bf16, "R", "C"), b.routing())
	}},
	{name: "product, forward", kernels: "mma_forward_bf16", bytes: "(N·C + OC·C + N·OC)·s", flops: "2·N·OC·C", peak: "bf16", note: fromL2, run: forward(dense, bf16, 0)},
	{name: "product, input", kernels: "mma_input_bf16", bytes: "(N·C + OC·C + N·OC)·s", flops: "2·N·OC·C", peak: "bf16", run: input(dense, bf16, 0)},
	{name: "product, weight", kernels: "mma_weight_bf16", bytes: "(N·C + N·OC)·s + 8·OC·C", flops: "2·N·OC·C", peak: "bf16", note: "dw is added to", run: gradient(dense, bf16, 0)},
	{name: "bias gradient", kernels: "bias_bf16", bytes: "N·OC·s + 8·OC", flops: "N·OC", at: sizes{"T": 512}, run: gradient(dense, bf16, 0)},
	{name: "product, fp32, forward", kernels: "fma_forward_float", bytes: "4·(N·C + OC·C + N·OC)", flops: "2·N·OC·C", run: forward(dense, f32, 0)},
	{name: "product, tf32, forward", kernels: "tf32_forward_float", bytes: "4·(N·C + OC·C + N·OC)", flops: "2·N·OC·C", peak: "tf32", run: forward(dense, f32, kernels.TF32)},
	{name: "product, fp32, input", kernels: "fma_input_float", bytes: "4·(N·C + OC·C + N·OC)", flops: "2·N·OC·C", run: input(dense, f32, 0)},
	{name: "product, fp32, weight", kernels: "fma_weight_float", bytes: "4·(N·C + N·OC) + 8·OC·C", flops: "2·N·OC·C", run: gradient(dense, f32, 0)},
	{name: "product, tf32, input", kernels: "tf32_input_float", bytes: "4·(N·C + OC·C + N·OC)", flops: "2·N·OC·C", peak: "tf32", run: input(dense, f32, kernels.TF32)},
	{name: "product, tf32, weight", kernels: "tf32_weight_float", bytes: "4·(N·C + N·OC) + 8·OC·C", flops: "2·N·OC·C", peak: "tf32", run: gradient(dense, f32, kernels.TF32)},
	{name: "product, 2:4, forward", kernels: "pairs_mma_forward_bf16", bytes: "(N·C + OC·C/2 + N·OC)·s + OC·C/8", flops: "N·OC·C", peak: "bf16", note: "half of the dense one's; " + onSharedMemory, run: forward(pairs, bf16, 0)},
	{name: "product, 2:4, input", kernels: "pairs_mma_input_bf16", bytes: "(N·OC + OC·C/2 + N·C)·s + OC·C/8", flops: "2·N·OC·C", peak: "bf16", note: "as dense", run: input(pairs, bf16, 0)},
	{name: "product, 2:4, weight", kernels: "pairs_mma_weight_bf16", bytes: "(N·OC + N·C)·s + 4·OC·C + OC·C/8", flops: "2·N·OC·C", peak: "bf16", note: "half of dw, which is added to", run: gradient(pairs, bf16, 0)},
	{name: "rows quantized to int8", kernels: "int8_quantize_bf16", bytes: "N·C·(s+1) + 4·N", flops: "N·C + 256·N", at: sizes{"T": 8, "C": 2048, "OC": 16}, note: "x once more from L2", run: int8Forward},
	{name: "product, int8, forward", kernels: "int8_mma_forward_bf16", bytes: "N·C + OC·C + N·OC·s + 4·N + 4·OC", flops: "2·N·OC·C", peak: "int8", run: int8Forward},
	{name: "product, block, forward", kernels: "blocks32_mma_forward_bf16", bytes: "(N·C + d·OC·C + N·OC)·s + 4·d·OC·C/1024", flops: "2·d·N·OC·C", peak: "bf16", note: "x from L2 for each row of blocks; " + onSharedMemory, run: forward(blocks, bf16, 0)},
	{name: "product, block, input", kernels: "blocks32_mma_input_bf16", bytes: "(N·C + d·OC·C + N·OC)·s + 4·d·OC·C/1024", flops: "2·d·N·OC·C", peak: "bf16", note: onSharedMemory, run: input(blocks, bf16, 0)},
	{name: "product, block, weight", kernels: "blocks32_mma_weight_bf16", bytes: "(N·C + N·OC)·s + 8·d·OC·C + 4·d·OC·C/1024", flops: "2·d·N·OC·C", peak: "bf16", note: onSharedMemory, at: sizes{"C": 256}, run: gradient(blocks, bf16, 0)},
	{name: "largest magnitude", kernels: "fp8_top_packed", bytes: "(N·C + OC·C)·s", flops: "0", others: "19·(N·C + OC·C)", run: forward(dense, bf16, kernels.FP8)},
	{name: "rounding to 8 bits and back", kernels: "fp8_round_e4m3_packed", bytes: "2·(N·C + OC·C)·s", flops: "3·(N·C + OC·C)", others: "37·(N·C + OC·C)", run: forward(dense, bf16, kernels.FP8)},
	{name: "rounding to 8 bits for cuBLASLt", kernels: "fp8_quantize_e5m2_packed", library: true, bytes: "N·OC·(s+1)", flops: "N·OC", others: "29·N·OC", run: fp8Input},
	{name: "the same, transposed", kernels: "fp8_transpose_e4m3", library: true, bytes: "OC·C·(s+1)", flops: "OC·C", others: "38·OC·C", run: fp8Input},
	{name: "attention forward", kernels: "flash_forward_64_bf16", bytes: "4·N·C·s + 4·N·NH", flops: "2·B·T·(T+64)·C", peak: "bf16", note: "tiles on the diagonal are whole", run: attention(bf16)},
	{name: "attention backward", kernels: "rows_sums_bf16 flash_queries_64_bf16 flash_keys_64_bf16", bytes: "13·N·C·s + 20·N·NH", flops: "7·B·T·(T+64)·C", peak: "bf16",
		note: "7/2 of forward, of which the method needs 5/2: the scores are computed for queries and for keys", run: attentionBackward(bf16)},
	{name: "attention to U further positions, forward", kernels: "flash_extend_forward_64_bf16", bytes: "(3·N + 2·B·U)·C·s + 8·N·NH", flops: "4·N·U·C", peak: "bf16", run: extension(bf16)},
	{name: "attention to U further positions, backward", kernels: "flash_extend_queries_64_bf16 flash_extend_keys_64_bf16", bytes: "(6·N + 8·B·U)·C·s + 16·N·NH", flops: "14·N·U·C", peak: "bf16", run: extensionBackward(bf16)},
	{name: "attention forward, fp32", kernels: "rows_forward_float", bytes: "16·N·C + 4·N·NH", flops: "2·B·T·(T+1)·C + 21·B·T·(T+1)·NH", note: "a warp a row, keys and values from L2", run: attention(f32)},
	{name: "attention backward, fp32", kernels: "rows_sums_float rows_queries_float rows_keys_float", bytes: "52·N·C + 20·N·NH", flops: "7·B·T·(T+1)·C", note: "as above", run: attentionBackward(f32)},
	{name: "its extension forward, fp32", kernels: "rows_extend_forward_float", bytes: "4·(3·N + 2·B·U)·C + 8·N·NH", flops: "4·N·U·C + 40·N·U·NH", note: "as above", run: extension(f32)},
	{name: "its extension backward, fp32", kernels: "rows_extend_queries_float rows_extend_keys_float", bytes: "4·(6·N + 8·B·U)·C + 16·N·NH", flops: "14·N·U·C", note: "as above", run: extensionBackward(f32)},
	{name: "products, 2:4, fp32, all passes", kernels: "pairs_forward_float pairs_input_float pairs_weight_float", bytes: "12·(N·C + N·OC) + 8·OC·C + 3·OC·C/8", flops: "6·N·OC·C", note: "multiplies the zeros too", run: passes(pairs)},
	{name: "products, block, fp32, all passes", kernels: "blocks_forward_float blocks_input_float blocks_weight_float", bytes: "12·(N·C + N·OC) + 16·d·OC·C + 12·d·OC·C/1024", flops: "6·N·OC·C", note: "multiplies the zeros too", run: passes(blocks)},
	{name: "product, int8, by fma", kernels: "int8_scales_bf16 int8_forward_bf16", fma: true, bytes: "2·N·C·s + OC·C + N·OC·s + 8·N + 4·OC", flops: "2·N·OC·C", note: "quantizes in each tile", run: int8Forward},
	{name: "fill", kernels: "fill_u16", bytes: "N·C·s", flops: "0", run: func(b *bed) { b.s.Fill(b.of("x", bf16, "N", "C"), 3) }},
	{name: "2:4 weight encoded", kernels: "encode_pairs_bf16", bytes: "OC·C·(4 + s/2) + OC·C/8", flops: "0", run: encoding(pairs)},
	{name: "block-sparse weight encoded", kernels: "choose_blocks encode_blocks_bf16", bytes: "OC·C·(4 + 4·d + s·d) + 8·d·OC·C/1024", flops: "2·OC·C", run: encoding(blocks)},
	{name: "int8 weight encoded", kernels: "encode_int8", bytes: "5·OC·C + 4·OC", flops: "OC·C + 256·OC", at: sizes{"C": 2048, "OC": 16}, note: "once more from L2", run: func(b *bed) { b.s.Encode(b.int8(), b.of("dense", f32, "OC", "C")) }},
	{name: "2:4 weight decoded", kernels: "decode_pairs_float_bf16", bytes: "OC·C·(4 + s/2) + OC·C/8", flops: "0", run: decoding(pairs)},
	{name: "block-sparse weight decoded", kernels: "decode_blocks_float_bf16", bytes: "OC·C·d·(4+s) + 4·d·OC·C/1024", flops: "0", note: "after a fill", run: decoding(blocks)},
	{name: "int8 weight decoded", kernels: "decode_int8_float", bytes: "5·OC·C + 4·OC", flops: "OC·C", run: func(b *bed) { b.s.Decode(b.of("dense", f32, "OC", "C"), b.int8()) }},
}
