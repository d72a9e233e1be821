#!/usr/bin/env python3
"""Break the CUDA kernels one way after another, and see that the tests notice.

    python3 scripts/mutants.py            all mutants; fails if one survives
    python3 scripts/mutants.py flash      those whose description or file holds the word
    python3 scripts/mutants.py --sample 8 so many of those whose tests are quick, drawn by the commit, so that each has others

Each mutant is one change of the CUDA C++ source. It is compiled by NVRTC as scripts/ptx.py does and laid over the committed PTX with Go's -overlay, so
nothing in the tree changes.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import ptx  # noqa: E402: after the line that keeps it from leaving files in the tree

ROOT = ptx.SOURCES.parent.parent.parent

# The tests that exercise each source file, as a pattern of go test.
TESTS = {
    "elementwise": "TestKeepsTheContract/(cast|transfer|streams)|TestKeepsTheContract/ops/attention/rows|TestTrainingSteps/bf16_2",
    "layernorm": "TestKeepsTheContract/ops/layernorm",
    "adamw": "TestKeepsTheContract/(ops|scale)/(adamw|find|update)",
    "loss": "TestKeepsTheContract/ops/loss",
    "embedding": "TestKeepsTheContract/ops/embedding",
    "linear_fma": "TestTrainingSteps/fp32_dense",
    "linear_mma": "TestTensorCoreProducts",
    "linear_tf32": "TestTensorCoreProducts.*/dense/tf32|TestKeepsTheContract/ops/linear/mma",
    "gelu": "TestLibraryProducts",
    "float8": "TestFloat8Products|TestLibraryProducts|TestKeepsTheContract/cast|TestTensorCoreProductsOverManyTiles/dense/fp8",
    "linear_pairs": "TestTensorCoreProducts",
    "linear_blocks": "TestTensorCoreProductsOverManyTiles/block",
    "linear_int8": "TestInt8Products",
    "experts": "TestKeepsTheContract/ops/experts|TestRoutesOfManyGroups",
    "attention_rows": "TestKeepsTheContract/ops/attention/rows",
    "attention_flash": "TestFlashAttention|TestKeepsTheContract/ops/attention/flash",
    "linear_sparse": "TestTrainingSteps/fp32_(2|block)",
    "weight": "TestTrainingSteps/(bf16_2|fp16_block)",
    "peak": "TestCeilings",
}

# Source file to compile, file to change, what to replace (its first occurrence), by what, and what that breaks.
MUTANTS = [
    ("elementwise", None, "store(out + i, v);", "store(out, v);", "every result goes to the first place"),
    ("elementwise", None, "i64 i = gridThread() * N", "i64 i = gridThread()", "packs overlap"),
    ("elementwise", "common.cuh", "cvt.rn.bf16.f32", "cvt.rz.bf16.f32", "bf16 rounded toward zero"),
    ("elementwise", "common.cuh", "cvt.rn.f16.f32", "cvt.rz.f16.f32", "fp16 rounded toward zero"),
    ("elementwise", "common.cuh", "<< 16)", "<< 15)", "bf16 widened by the wrong shift"),
    ("layernorm", "common.cuh", "    x = warpSum(x);\n    __syncthreads();", "    x = warpSum(x);", "no barrier before the sums' parts are overwritten"),
    ("layernorm", "common.cuh", "parts[threadIdx.x / 32] = x;\n    __syncthreads();", "parts[threadIdx.x / 32] = x;", "no barrier before the parts are read"),
    ("layernorm", "common.cuh", "m = 16; m > 0", "m = 8; m > 0", "half of a warp is not summed"),
    ("layernorm", None, "blockSum(squares) / c + 1e-5f", "(blockSum(squares) + 1e-5f) / c", "epsilon inside the mean"),
    ("layernorm", None, "const float d = row[i] - m;", "const float d = row[i];", "variance about zero"),
    ("layernorm", None, "* widen(gain[i]) + widen(bias[i])", "* widen(gain[i])", "no bias"),
    ("layernorm", None, "if (residual) v += widen(residual[at + i]);", "", "no residual"),
    ("layernorm", None, "blockSum(moment) * r * r / c", "blockSum(moment) * r / c", "one factor of rstd is lost"),
    ("layernorm", None, "out[col] += sum;", "out[col] = sum;", "gradients assigned, not added"),
    ("layernorm", None, "i < 8; i++) sum += parts[threadIdx.y]", "i < 7; i++) sum += parts[threadIdx.y]", "one of eight partial sums is lost"),
    ("layernorm", None, "    __syncthreads();\n    if (threadIdx.y < 2", "    if (threadIdx.y < 2", "partial sums read without a barrier"),
    ("adamw", None, "if (state[FOUND] > 0) return;", "", "steps on an overflow"),
    ("adamw", None, "sqrtf(vi / correct2) + (float)eps", "sqrtf(vi / correct2 + (float)eps)", "epsilon under the root"),
    ("adamw", None, "(u32)state[STEPS] + 1", "(u32)state[STEPS]", "bias correction of the step before"),
    ("adamw", None, "grad[i] * unscale", "grad[i]", "gradients not unscaled"),
    ("adamw", None, "+ (float)decay * w)", ")", "no weight decay"),
    ("adamw", None, "if (param) narrow(param[i], next);", "if (param) narrow(param[i], w);", "the copy is a step late"),
    ("adamw", None, "<= 3.402823466e38f", "< 3.402823466e38f", "the largest number counts as an overflow"),
    ("adamw", None, "state[GOOD] = 0;\n        if", "if", "good steps survive an overflow"),
    ("loss", None, "sum *= expf(top - a);", "", "the running sum is not rescaled"),
    ("loss", None, "if (top != low) sum *= expf(top - highest);", "", "threads' sums are not rescaled"),
    ("loss", None, "i == target ? 1.f : 0.f", "0.f", "no target in the gradient"),
    ("loss", None, "const float factor = inverse * state[0];", "const float factor = inverse;", "gradient without the loss scale"),
    ("loss", None, "__syncthreads(); // dlogits", "// dlogits", "the gradient overwrites a target that others still read"),
    ("loss", None, "loss[0] += sum;", "loss[0] = sum;", "loss assigned, not added"),
    ("embedding", None, "wpe + (n % t) * c", "wpe + (n / t) * c", "position of the wrong token"),
    ("embedding", None, "if (__syncthreads_or(seen)) return;", "if (seen) return;", "repeated tokens are added by several blocks"),
    ("embedding", None, "i64 m = first; m < n", "i64 m = first; m <= first", "only the first occurrence counts"),
    ("gelu", None, "(residual ? r[j] : 0)", "0", "no residual behind GELU"),
    ("gelu", None, "d[j] *= geluGrad(v[j])", "d[j] *= gelu(v[j])", "GELU in place of its derivative"),
    ("gelu", None, "load(v, aux + i);\n#pragma unroll\n        for (int j = 0; j < N; j++) d[j]", "load(v, aux);\n#pragma unroll\n        for (int j = 0; j < N; j++) d[j]", "the first inputs of GELU for all"),
    ("float8", None, "if (gridThread() == 0) *inverse = 1 / scale;", "if (gridThread() == 0) *inverse = scale;", "an 8-bit factor's scale is not taken back"),
    ("float8", None, "v[j] *= scale;\n        store", "v[j] *= 1;\n        store", "an 8-bit factor is not scaled"),
    ("float8", None, "threadIdx.y == 0) *inverse = 1 / scale;", "threadIdx.y == 0) *inverse = scale;", "a transposed 8-bit factor's scale is not taken back"),
    ("float8", None, "    __syncthreads();\n    for (int c = threadIdx.y; c < 32", "    for (int c = threadIdx.y; c < 32", "no barrier before a tile is read transposed"),
    ("float8", None, "(i64)(col0 + c) * rows + row", "(i64)(col0 + c) * cols + row", "transposed rows of the wrong length"),
    ("float8", None, "row0 = blockIdx.y * 128", "row0 = blockIdx.y * 64", "tiles to transpose overlap"),
    ("linear_fma", "fma.cuh", "        __syncthreads();\n    }", "    }", "the next tile overwrites one that is in use"),
    ("linear_fma", "fma.cuh", "fill(bs, b, col0, k0, n, k);\n        __syncthreads();", "fill(bs, b, col0, k0, n, k);", "tiles are read before they are there"),
    ("linear_fma", "fma.cuh", "k0 + dk < k", "k0 + dk <= k", "a column past the edge"),
    ("linear_fma", "linear.cuh", "v = gelu(v);", "", "no GELU"),
    ("linear_fma", "linear.cuh", "3 * 0.044715f", "0.044715f", "wrong derivative of GELU"),
    ("linear_fma", "linear.cuh", "if (residual) v += widen(residual[at]);", "", "no residual"),
    ("linear_mma", "linear_tile.cuh", "waitCopies<STAGES - 2>();\n        __syncthreads();", "waitCopies<STAGES - 2>();", "other threads' copies are not waited for"),
    ("linear_mma", "linear_tile.cuh", "waitCopies<STAGES - 2>();", "waitCopies<STAGES - 1>();", "a stage is read while it is copied"),
    ("linear_mma", "linear_tile.cuh", "row < size && col < k", "row < size", "columns past the edge"),
    ("linear_mma", "linear_tile.cuh", "    __syncthreads(); // the stages are free\n", "", "sums overwrite stages in use"),
    ("linear_mma", "linear_tile.cuh", "__syncwarp();\n#pragma unroll 1", "#pragma unroll 1", "lanes read sums before they are there"),
    ("linear_mma", "linear_tile.cuh", "b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]", "b[j / 2][j % 2 * 2 + 1], b[j / 2][j % 2 * 2]", "swapped halves of a fragment of B"),
    ("linear_mma", "mma.cuh", "(row + l % 16) * ld + k + l / 16 * 8", "(row + l % 8 + l / 16 * 8) * ld + k + l / 8 % 2 * 8", "swapped quarters of a fragment of A"),
    ("linear_mma", "mma.cuh", "(k + l % 16) * ld + col + l / 16 * 8", "(k + l % 8 + l / 16 * 8) * ld + col + l / 8 % 2 * 8", "swapped quarters of a transposed fragment of B"),
    ("float8", "float8.cuh", " + (mag >> drop & 1)", "", "ties rounded toward zero"),
    ("float8", "float8.cuh", "min((mag - ((127 - BIAS) << 23)) >> drop, LARGEST)", "((mag - ((127 - BIAS) << 23)) >> drop)", "no saturation"),
    ("float8", "float8.cuh", "    if (mag > 0x7f800000) return 0x7f;\n", "", "a NaN becomes the largest value"),
    ("float8", "float8.cuh", "mag < (128 - BIAS) << 23", "mag < (127 - BIAS) << 23", "the largest subnormals rounded as normal numbers"),
    ("float8", "float8.cuh", "(x.bits & 0x7f) == 0x7f ? __uint_as_float(0x7fffffff) : ", "", "a NaN of e4m3 widened to a number"),
    ("float8", "float8.cuh", "widen(half) * 256", "widen(half) * 128", "e4m3 widened to half of its value"),
    ("float8", "float8.cuh", " - ((top & 0x7fffff) > 0x600000)", "", "largest magnitudes past the format's largest value"),
    ("float8", "float8.cuh", "    if (top >= 0x7f800000) return __uint_as_float(0x7fffffff);\n", "", "an Inf hidden by saturation"),
    ("float8", "float8.cuh", "min(power, 100)", "power", "the scale of a tiny tensor overflows"),
    ("float8", None, "(u32)a.v[j].bits & 0x7fff", "(u32)a.v[j].bits", "magnitudes with their signs"),
    ("float8", None, "atomicMax(top, most << 16)", "*top = most << 16", "the last block's magnitude wins"),
    ("float8", None, "narrow(e, v[j] * scale)", "narrow(e, v[j])", "factors rounded as they are"),
    ("float8", None, "widen(e) * inverse", "widen(e)", "the scale is not taken back"),
    ("linear_tf32", "mma.cuh", "asm(\"cvt.rna.tf32.f32 %0, %1;\" : \"=r\"(y) : \"f\"(x));", "y = __float_as_uint(x);", "factors truncated, not rounded"),
    ("linear_tf32", None, "a[i] = at[i / 2 * 4 * FLOATS + i % 2 * 8]", "a[i] = at[i % 2 * 4 * FLOATS + i / 2 * 8]", "swapped quarters of a fragment of A"),
    ("linear_tf32", None, "b[i] = at[i % 2 * 4 * FLOATS + i / 2 * 8]", "b[i] = at[i / 2 * 4 * FLOATS + i % 2 * 8]", "swapped quarters of a fragment of B"),
    ("linear_tf32", None, "const bool there = row < size && col < k;", "const bool there = row < size;", "rows of k past the edge"),
    ("linear_tf32", None, "size % 4 == 0", "true", "16 bytes copied across the end of a row"),
    ("linear_tf32", None, "first, size, 2 * k)", "first, size, 2 * k + 8)", "columns past the edge"),
    ("linear_tf32", None, "(k / 2 + l % 4) * FLOATS + row + l / 4", "(k / 4 + l % 4) * FLOATS + row + l / 4", "the first half of a step twice"),
    ("linear_tf32", "linear_tile.cuh", "waitCopies<STAGES - 2>();", "waitCopies<STAGES - 1>();", "a stage is read while it is copied"),
    ("linear_pairs", None, "lane % 2 ? 0x7632 : 0x5410", "lane % 2 ? 0x5410 : 0x7632", "metadata of the other half of a step"),
    ("linear_pairs", None, "words[row + lane / 4], words[row + 8 + lane / 4]", "words[row + 8 + lane / 4], words[row + lane / 4]", "metadata of swapped rows"),
    ("linear_pairs", None, "fragmentB(hi, xs, STEP + PAD, col0 + 16 * j, 16);", "fragmentB(hi, xs, STEP + PAD, col0 + 16 * j, 0);", "the first half of a step twice"),
    ("linear_pairs", None, "waitCopies<STAGES - 2>();", "waitCopies<STAGES - 1>();", "a stage is read while it is copied"),
    ("linear_pairs", None, "else words[threadIdx.x] = NONE;", "", "metadata of rows past the edge is not set"),
    ("linear_pairs", None, "byte < c / 8 ?", "true ?", "metadata past the edge"),
    ("linear_pairs", None, "    __syncthreads(); // the stages are free\n", "", "sums overwrite stages in use"),
    ("linear_pairs", None, "bits[i] >> 4", "bits[i]", "the second four columns lie as the first"),
    ("linear_pairs", "linear_tile.cuh", "if (next < steps) b.settle(filled + SIZE);", "if (next < steps) b.settle((u16 *)stage + SIZE);", "weights are written out over the stage in use"),
    ("linear_pairs", "sparse.cuh", "if (i >= 0) w.values[i] += v;", "if (i >= 0) w.values[i] = v;", "gradients assigned, not added"),
    ("linear_int8", None, "rintf(widen(x[first + i]) / s)", "(widen(x[first + i]) / s - 1)", "integers one too low"),
    ("linear_int8", "int8.cuh", "rows[row] * cols[col]", "rows[row]", "no scale of the output channel"),
    ("linear_int8", "mma.cuh", "s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}", "s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%6,%5,%7}, {%8,%9}", "swapped quarters of integers"),
    ("linear_blocks", None, "line(k / EDGE) * EDGE + k % EDGE", "k", "columns of x not of the stored blocks"),
    ("linear_blocks", None, "const bool inside = k < stored;", "const bool inside = k < stored + 16;", "a block past the last"),
    ("linear_blocks", None, "waitCopies<STAGES - 2>();", "waitCopies<STAGES - 1>();", "a stage is read while it is copied"),
    ("linear_blocks", None, "        __syncthreads(); // as in product\n", "", "other threads' copies are not waited for"),
    ("linear_blocks", None, "    __syncthreads();\n    return count;", "    return count;", "the list of blocks is read before it is there"),
    ("linear_blocks", None, "&& columns[lo] == column", "", "a block of another column"),
    ("linear_blocks", None, "found[n + __popc(all & ((1u << threadIdx.x) - 1))]", "found[__popc(all & ((1u << threadIdx.x) - 1))]", "the list starts anew after 32 rows of blocks"),
    ("linear_blocks", None, "return found[i] / keep;", "return i;", "columns of dout not of the stored blocks"),
    ("linear_blocks", None, "((i64)found[k / EDGE] * EDGE + k % EDGE) * EDGE + col", "((i64)found[k / EDGE] * EDGE + k % EDGE) * EDGE", "the first columns of a block throughout"),
    ("linear_blocks", None, "if (at < stored) values", "values", "gradients past the last block"),
    ("linear_blocks", None, "at % EDGE] += sum[i][j][e]", "at % EDGE] = sum[i][j][e]", "gradients assigned, not added"),
    ("linear_blocks", None, "columns[at / EDGE] * EDGE + at % EDGE : x", "at : x", "gradients of the wrong columns"),
    ("linear_blocks", None, "const bool there = at < stored && token < n;", "const bool there = at < stored;", "tokens past the end count"),
    ("experts", None, "v == top && j < best", "v == top && j > best", "of equal logits the higher expert wins"),
    ("experts", None, "j != but && ", "", "the first choice is chosen again"),
    ("experts", None, "(1u << lane) - 1", "(2u << lane) - 1", "places are one too high"),
    ("experts", None, "if (c == 0) first = taken;", "first = taken;", "second choices count in the balance"),
    ("experts", None, "for (int r = taken + lane; r < capacity; r += 32) tokens[place + r] = -1;", "", "empty rows keep what they held"),
    ("experts", None, "const int nth = taken +", "const int nth =", "each chunk of tokens starts from an expert's first row"),
    ("experts", None, "rows[at] = -1, dropped++;", "rows[at] = -1;", "dropped choices are not counted"),
    ("experts", None, "p / (1 + p);", "p;", "second gates are not normalized"),
    ("experts", None, "da = (da - through) / sum", "da = da / sum", "gates that share 1 are taken for independent"),
    ("experts", None, "balance *= state[0];", "", "the balance's gradient is not scaled"),
    ("experts", None, "        __syncthreads();\n        for (int t = warp", "        for (int t = warp", "counts are read before they are there"),
    ("experts", None, "        __syncthreads(); // the counts of the next group\n", "", "counts are overwritten while they are in use"),
    ("experts", None, "v[l] *= gate;", "v[l] *= 1;", "dispatched rows are not weighted"),
    ("experts", None, "if (rows[at] < 0) continue;\n            const", "const", "dropped choices are added"),
    ("experts", None, "if (residual) load(v, residual + n * c + i);", "", "no residual"),
    ("experts", None, "dout + at / k * c + i", "dout + at * c + i", "the gradient of another token"),
    ("attention_rows", None, "end = EXTEND ? u : row + 1;\n    const float", "end = EXTEND ? u : row + 32;\n    const float", "keys of the future are seen"),
    ("attention_rows", None, "acc[j] *= shrink;", "", "the output is not rescaled"),
    ("attention_rows", None, "sum * shrink + warpSum(p)", "sum + warpSum(p)", "the sum is not rescaled"),
    ("attention_rows", None, "- rows[at.stat(row)])", ")", "no row sum in the gradient of a score"),
    ("attention_rows", None, "accumulate(dk, ds,", "accumulate(dk, p,", "keys' gradients from probabilities"),
    ("attention_rows", None, "sum = EXTEND ? 1 : 0", "sum = 0", "what is gone on from has no weight"),
    ("attention_rows", None, "get<EXTEND>(dk,", "get<false>(dk,", "keys' gradients are not added to"),
    ("attention_rows", None, "get<EXTEND>(acc, dqkv", "get<false>(acc, dqkv", "queries' gradients are not added to"),
    ("attention_flash", None, "sum[h] = threadIdx.x % 4 == 0;", "sum[h] = 1;", "what is gone on from counts four times"),
    ("attention_flash", None, "(EXTEND ? u : first + rowOf(e) + 1)", "(EXTEND ? u + 8 : first + rowOf(e) + 1)", "keys past the end are seen"),
    ("attention_flash", None, "begin = EXTEND ? 0 :", "begin = EXTEND ? 1 :", "a tile of queries is left out"),
    ("attention_flash", None, "take<D>(dv, gv, first);", "", "values' gradients are not added to"),
    ("attention_flash", None, "key < (EXTEND ? u :", "key < (EXTEND ? u + 8 :", "keys past the end count"),
    ("elementwise", None, "x[i / n * c + i % n]", "x[i / n * d + i % n]", "columns of rows of the wrong length"),
    ("attention_flash", None, "o[i][2 * h] *= shrink;", "", "the output is not rescaled"),
    ("attention_flash", None, "sum[h] *= shrink;", "", "the sum is not rescaled"),
    ("attention_flash", None, "first + rowOf(e) + 1)", "first + rowOf(e) + 8)", "keys of the future are seen"),
    ("attention_flash", None, "highest = quadMax(highest);", "", "each lane has a maximum of its own"),
    ("attention_flash", None, "__syncthreads(); // tile j", "// tile j", "other threads' copies are not waited for"),
    ("attention_flash", None, "waitCopies<0>();", "waitCopies<1>();", "a tile is read while it is copied"),
    ("attention_flash", None, ": first / KEYS + 1", ": first / KEYS", "the diagonal tile is left out"),
    ("attention_flash", None, "query + 1) && query < t", "query + 1)", "rows past the end count"),
    ("attention_flash", None, "0 : first / QUERIES", "0 : first / QUERIES + 1", "a tile of queries is left out"),
    ("attention_flash", None, "accumulate<QUERIES, D, T>(dk, g, qs)", "accumulate<QUERIES, D, T>(dk, g, ds)", "keys' gradients from the wrong tile"),
    ("linear_sparse", "sparse.cuh", "? first + 1 : -1", "? first : -1", "the second value of a pair is the first"),
    ("linear_sparse", "sparse.cuh", "columns[mid] < col / edge", "columns[mid] <= col / edge", "the search passes its block"),
    ("linear_sparse", "sparse.cuh", "if (i >= 0) w.values[i] += v;", "if (i >= 0) w.values[i] = v;", "gradients assigned, not added"),
    ("weight", None, "lo | hi << 2", "hi | lo << 2", "positions of a pair swapped"),
    ("weight", None, "larger < keep", "larger <= keep", "one block too many"),
    ("peak", None, "f.a[j / 4], f.b[j % 4]", "f.a[j % 2], f.b[j % 4]", "each fragment meets two of the four words of B"),
    ("peak", None, "for (int i = 0; i < n; i++) {\n#pragma unroll\n        for (int j = 0; j < 8; j++)", "for (int i = 0; i <= n; i++) {\n#pragma unroll\n        for (int j = 0; j < 8; j++)", "one turn more"),
    ("peak", None, "j / 16 % 2][j / 4 % 4", "j / 16 % 2][j % 4", "multiply-adds of half of the words"),
    ("peak", "mma.cuh", "s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}", "s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%4}, {%8,%9}", "a quarter of A twice"),
    ("peak", None, "for (; i < n; i += step) out[i] = x[i];", "", "the copy's last words"),
    ("peak", None, "j < 16; j++) all ^=", "j < 15; j++) all ^=", "a word of 16 is not read"),
]

# Sources whose tests take a second or two.
QUICK = ("layernorm", "adamw", "loss", "embedding", "weight", "gelu", "linear_int8", "experts")


def sample(n):
    """n mutants of the quick sources, the same ones for a commit."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return random.Random(head.stdout).sample([m for m in MUTANTS if m[0] in QUICK], n)


def survives(lib, unit, header, old, new, folder):
    """Whether the tests pass in spite of a mutant."""
    path = ptx.SOURCES / (header or unit + ".cu")
    text = path.read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"mutants.py: {path.name} does not hold {old!r}")
    source = ptx.SOURCES / (unit + ".cu")
    mutant = ptx.compile_ptx(lib, source, {path.name: text.replace(old, new, 1)})
    committed = source.with_suffix(".ptx")
    if mutant == committed.read_text():
        sys.exit(f"mutants.py: {path.name}: {old!r} by {new!r} changes nothing")
    changed = folder / committed.name
    changed.write_text(mutant)
    overlay = folder / "overlay.json"
    overlay.write_text(json.dumps({"Replace": {str(committed): str(changed)}}))
    command = ["go", "test", "-failfast", "-overlay", str(overlay), "-timeout", "10m", "-run", TESTS[unit], "./kernels/cuda"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if any(said in run.stdout for said in ("no tests to run", "build failed", "test timed out")):
        sys.exit(f"mutants.py: {' '.join(command)}:\n{run.stdout}{run.stderr}")
    return run.returncode == 0


def main():
    words, mutants = sys.argv[1:], MUTANTS
    if words[:1] == ["--sample"]:
        words, mutants = [], sample(int(words[1]))
    lib, ran, alive = ptx.nvrtc(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for unit, header, old, new, what in mutants:
            if words and not any(w in unit or w in what for w in words):
                continue
            ran += 1
            if survives(lib, unit, header, old, new, pathlib.Path(folder)):
                alive += 1
                print(f"SURVIVED  {unit}: {what}", flush=True)
            else:
                print(f"killed    {unit}: {what}", flush=True)
    print(f"{ran - alive} passed, {alive} failed")
    sys.exit(alive > 0)


if __name__ == "__main__":
    main()
