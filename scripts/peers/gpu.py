"""PyTorch on this host's first GPU beside what ofpeak measured there: the same training steps, and large products.

    python3 scripts/peers/gpu.py RUN.csv [--peak PEAK.csv] [--out FILE.csv] [--device cuda] [--seconds 1]

RUN.csv is ofpeak's run; its dense training steps on one GPU in fp32, tf32 and bf16 are repeated, eager and compiled. PEAK.csv is `ofpeak peak --format csv`; its
fastest multiply-adds of a type stand beside a product of 8192 by 8192 matrices. Before the clock starts, a small step's losses must be those that PyTorch has on the CPU.

The two sides do not take turns, as they do in peers.py: they run one after the other.
"""

import argparse
import csv
import math
import sys
import time

COLUMNS = ["op", "shape", "dtype", "unit", "ours", "peer", "peer_name", "ratio"]
DTYPES = {"fp32": "fp32", "tf32": "fp32", "bf16": "bf16"}  # what pytorch.py calls them
EMPTY = ["vocab", "sparse_format", "experts", "variants", "memory_limit_bytes"]
CHECKED = "64x2x32x1x2"  # CxNHxTxLxB of the step whose losses are checked


def steps(rows):
    """{(shape, dtype): tokens per second} of the dense training steps on one GPU."""
    found = {}
    for r in rows:
        plain = r["engine"] == "native" and r["pass"] == "train" and r["ranks"] == "1" and r["recompute"] in ("", "none")
        if r["status"] == "ok" and plain and r["precision"] in DTYPES and not any(r.get(c) for c in EMPTY):
            found["x".join(r[d] for d in ("c", "nh", "t", "l", "b")), r["precision"]] = float(r["tokens_per_s"])
    return found


def ceilings(rows):
    """{dtype: TFLOPS} of the fastest dense multiply-adds."""
    best = {}
    for r in rows:
        dtype, _, what = r["ceiling"].partition(" ")
        if what == "multiply-add" and r["unit"] == "TFLOPS":
            best[dtype] = max(best.get(dtype, 0), float(r["one GPU"]))
    return best


def line(op, shape, dtype, unit, ours, peer, name):
    return dict(zip(COLUMNS, [op, shape, dtype, unit, f"{ours:.4g}" if ours else "", f"{peer:.4g}", name, f"{ours / peer:.3f}" if ours else ""]))


class Torch:
    """PyTorch on one device. scripts/peers/pytorch.py has the block and its numbers."""

    def __init__(self, device):
        import torch

        import pytorch

        self.torch, self.pytorch, self.device = torch, pytorch, device
        pytorch.DEVICE = device
        self.name = f"PyTorch {torch.__version__.split('+')[0]}"

    def wait(self):
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def precision(self, dtype):
        self.torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"

    def train(self, shape, dtype, compiled=False):
        self.precision(dtype)
        self.torch.set_default_device(self.device)
        return self.pytorch.Train(shape, DTYPES[dtype], compiled, dtype == "bf16")

    def losses(self, shape, dtype, device):
        before, self.device, self.pytorch.DEVICE = self.device, device, device
        try:
            return self.train(shape, dtype).losses
        finally:
            self.device = self.pytorch.DEVICE = before

    def seconds(self, step, at_least):
        for _ in range(3):
            step()
        self.wait()
        start, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - start < at_least:
            step()
            self.wait()
            calls += 1
        return (time.perf_counter() - start) / calls

    def product(self, dtype, edge, at_least):
        """TFLOPS of a product of square matrices."""
        self.precision(dtype)
        self.torch.set_default_device(self.device)
        kind = {"fp16": self.torch.float16, "bf16": self.torch.bfloat16}.get(dtype, self.torch.float32)
        a, b = self.torch.randn(edge, edge, dtype=kind), self.torch.randn(edge, edge, dtype=kind).t()
        return 2e-12 * edge**3 / self.seconds(lambda: self.torch.mm(a, b), at_least)


def check(torch):
    """What of a small step differs from the same on the CPU, "" if nothing does."""
    for dtype, allowed in (("fp32", 1e-3), ("bf16", 2e-2)):
        want, got = (torch.losses(CHECKED, dtype, d) for d in ("cpu", torch.device))
        if not all(math.isclose(w, g, rel_tol=allowed) for w, g in zip(want, got)):
            return f"losses of {CHECKED} in {dtype} are {got}, on the CPU {want}"
    return ""


def measure(torch, ours, ceiling, seconds, edge=8192):
    """The lines, and what failed."""
    lines, failed = [], []
    for (shape, dtype), rate in ours.items():
        _, _, t, _, b = (int(d) for d in shape.split("x"))
        for mode in ("eager", "compile"):
            name = f"{torch.name} {mode}"
            try:
                took = torch.seconds(torch.train(shape, dtype, mode == "compile").step, seconds)
            except Exception as e:  # out of memory, no compiler: the others go on
                failed.append(f"{name}, {shape} {dtype}: {' '.join(str(e).split())[:200]}")
                continue
            lines.append(line("train", shape, dtype, "tokens/s", rate, b * t / took, name))
    for dtype in ("fp32", "tf32", "fp16", "bf16"):
        lines.append(line("product", f"{edge}x{edge}x{edge}", dtype, "TFLOPS", ceiling.get(dtype, 0), torch.product(dtype, edge, seconds), torch.name))
    return lines, failed


def main(argv):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("run", help="CSV of ofpeak run")
    p.add_argument("--peak", help="CSV of ofpeak peak")
    p.add_argument("--out", help="the CSV to write; standard output if not given")
    p.add_argument("--device", default="cuda")
    p.add_argument("--seconds", type=float, default=1, help="for each figure")
    args = p.parse_args(argv)
    with open(args.run, newline="", encoding="utf-8") as f:
        ours = steps(csv.DictReader(f))
    ceiling = {}
    if args.peak:
        with open(args.peak, newline="", encoding="utf-8") as f:
            ceiling = ceilings(csv.DictReader(f))
    try:
        torch = Torch(args.device)
    except ImportError as e:
        sys.exit(f"gpu.py: no PyTorch ({e})")
    if wrong := check(torch):
        sys.exit(f"gpu.py: {wrong}")
    lines, failed = measure(torch, ours, ceiling, args.seconds, 8192 if args.device != "cpu" else 512)
    out = open(args.out, "w", newline="", encoding="utf-8") if args.out else sys.stdout
    with out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    sys.exit("\n".join(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
