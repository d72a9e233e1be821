"""Measures ofpeak's CPU kernels against other libraries, in turn, in one run.

Every peer is a process that speaks the line protocol of docs/peers.md, bound to the same cores. For each case the two sides make the
same random operands, must agree on a sample of results, and are then timed alternately; the ratio is the median over the pairs.
"""

import argparse
import contextlib
import csv
import dataclasses
import functools
import math
import os
import pathlib
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLUMNS = ["op", "shape", "dtype", "threads", "unit", "ours", "peer", "peer_name", "ratio"]
SAMPLES = 1000
# Peers that allocate in every step keep their memory, in huge pages, instead of returning it to the system (glibc; some 4 % for PyTorch).
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
SLEEP_SOON = {"OPENBLAS_THREAD_TIMEOUT": "20"}  # idle threads spin for 2^20 cycles, not 2^28, which would be 0.1 s of the other side's turn
SETTLE = 0.02  # seconds for an idle side's threads to stop spinning before the other side's turn


class Missing(Exception):
    """A peer or a case that cannot run here; the message says why or what to install."""


@dataclasses.dataclass(frozen=True)
class Case:
    op: str
    shape: str  # tokens x in x out of a linear layer; C x NH x T x L x B of a training step
    dtype: str  # bf16 products have fp32 results, bf16-bf16 products bf16 ones; fp32-2:4 and fp32-blockEDGE-ZEROS are of sparse weights

    def __str__(self):
        return f"{self.op} {self.shape} {self.dtype}"

    def work(self):
        """The work of one call, and the unit of work per second."""
        dims = [int(d) for d in self.shape.split("x")]
        if self.op == "train":
            _, _, t, _, b = dims
            return b * t, "tokens/s"
        return 2e-9 * math.prod(dims), "GOPS" if self.dtype == "int8" else "GFLOPS"

    def kept(self):
        """The share of the work that block-sparse weights leave. Their ratio is of the ideal speed-up, one by this."""
        if "-block" not in self.dtype:
            return 1
        edge, zeros = map(int, self.dtype.rpartition("block")[2].split("-"))
        blocks = int(self.shape.split("x")[1]) // edge
        return max(1, (blocks * (100 - zeros) + 50) // 100) / blocks

    def tolerance(self):
        """The largest error allowed, as a share of the results' root mean square: sums in another order, and bf16 results."""
        if self.op == "train":
            return {"fp32": 1e-3, "bf16": 1e-2}[self.dtype]
        return {"bf16-bf16": 2e-2, "int8": 0}.get(self.dtype, 1e-4)


def linear_layers(tokens, c):
    """The four products of a block of width c: query-key-value, projection, and both of the MLP."""
    return [f"{tokens}x{c}x{3 * c}", f"{tokens}x{c}x{c}", f"{tokens}x{c}x{4 * c}", f"{tokens}x{4 * c}x{c}"]


SHAPES = {
    "square": [f"{n}x{n}x{n}" for n in (512, 1024, 2048)],
    "gpt2": linear_layers(1024, 768),
    "7b": linear_layers(512, 4096),
}
SUITES = {
    "products": [
        Case(op, shape, dtype)
        for group in SHAPES.values()
        for shape in group
        for dtype in ("fp32", "bf16", "bf16-bf16", "int8")
        for op in ("forward", "dinput", "dweight")
    ],
    "sparse": [
        Case(op, shape, "fp32-2:4") for group in ("square", "gpt2") for shape in SHAPES[group] for op in ("forward", "dinput", "dweight")
    ]
    + [
        Case(op, "1024x1024x1024", f"fp32-block{edge}-{zeros}")
        for edge in (16, 32, 64)
        for zeros in (50, 75, 90)
        for op in ("forward", "dinput", "dweight")
    ],
    "int8": [Case("forward", shape, "int8") for group in ("square", "gpt2") for shape in SHAPES[group]],
    "gorgonia": [Case(op, shape, "fp32") for shape in ("512x512x512", *SHAPES["gpt2"]) for op in ("forward", "dinput", "dweight")],
    "train": [Case("train", f"768x12x1024x1x{b}", dtype) for b in (1, 4) for dtype in ("fp32", "bf16")],
}


@functools.cache
def build(command, missing):
    """Runs a compiler, once; the first line of its complaint becomes the reason."""
    if not shutil.which(command[0]):
        raise Missing(f"{missing} ({command[0]} is not there)")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        said = [line for line in run.stderr.splitlines() if line and not line.startswith("#")]
        raise Missing(f"{missing} ({(said or ['the build failed'])[0]})")


def build_ours(folder):
    build(("go", "build", "-o", f"{folder}/ours", "./scripts/peers/ours"), "ofpeak does not build")
    return f"{folder}/ours"


def compile_cpp(folder, source, flags, missing):
    binary = f"{folder}/{source}"
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    build((*compiler, "-O2", "-std=c++17", str(HERE / f"{source}.cpp"), "-o", binary, *flags), missing)
    return binary


def build_onednn(folder):
    root, flags = os.environ.get("ONEDNN_ROOT"), ["-ldnnl"]
    if root:
        flags = [f"-I{root}/include", f"-L{root}/lib", f"-Wl,-rpath,{root}/lib", "-ldnnl"]
    return compile_cpp(folder, "onednn", flags, "install oneDNN (Debian: libdnnl-dev), or set ONEDNN_ROOT to where it is")


def build_openblas(folder):
    return compile_cpp(folder, "openblas", ["-lopenblas"], "install OpenBLAS (Debian: libopenblas-dev)")


def find_pytorch(_):
    python = os.environ.get("PYTHON", "python3")
    look = "import importlib.util, sys; sys.exit(None if importlib.util.find_spec('torch') else 'no torch')"
    build((python, "-c", look), "install torch from PyPI for python3, or set PYTHON to an interpreter that has it")
    return python


# What each peer needs, and its arguments.
PEERS = {
    "onednn": (build_onednn, []),
    "onednn-prepacked": (build_onednn, ["prepacked"]),
    "openblas": (build_openblas, []),
    "gonum": (build_ours, ["gonum"]),
    "dense": (build_ours, ["dense"]),
    "fp32": (build_ours, ["fp32"]),
    "gorgonia-default": (build_ours, ["gorgonia-default"]),
    "pytorch": (find_pytorch, [str(HERE / "pytorch.py"), "products"]),
    "pytorch-eager": (find_pytorch, [str(HERE / "pytorch.py"), "eager"]),
    "pytorch-compile": (find_pytorch, [str(HERE / "pytorch.py"), "compile"]),
    "pytorch-eager-master": (find_pytorch, [str(HERE / "pytorch.py"), "eager-master"]),
    "pytorch-compile-master": (find_pytorch, [str(HERE / "pytorch.py"), "compile-master"]),
}
DEFAULTS = {
    "products": ["onednn", "openblas", "gonum", "pytorch"],
    "sparse": ["dense"],
    "int8": ["fp32"],
    "gorgonia": ["gorgonia-default"],
    "train": ["pytorch-eager", "pytorch-compile", "pytorch-eager-master", "pytorch-compile-master"],
}
OURS = {"int8": "products"}  # where the mode of our side is not called like the suite


class Peer:
    """A running peer, bound to cores."""

    def __init__(self, command, cores):
        env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        env.update(OMP_NUM_THREADS=str(len(cores)), OMP_PROC_BIND="true", OMP_PLACES="cores", **KEEP_MEMORY, **SLEEP_SOON)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        )
        word, _, self.name = self.process.stdout.readline().strip().partition(" ")
        if word != "ready":
            self.close()
            raise Missing(f"{command[0]} did not start: status {self.process.returncode}")

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Missing(f"the peer ended with status {self.process.wait()}")
        return line.strip()

    def ask(self, line):
        with contextlib.suppress(BrokenPipeError):  # read says that the peer ended
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answer = self.read()
        if answer.startswith("no "):
            raise Missing(answer)
        return answer

    def prepare(self, case):
        self.ask(f"prepare {case}")

    def sample(self):
        return [float(v) for v in self.ask(f"sample {SAMPLES}").split()]

    def seconds(self, at_least):
        """Seconds of one call, over a batch of calls that lasts long enough; then a pause."""
        s = float(self.ask(f"time {at_least}"))
        time.sleep(SETTLE)
        return s

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def error(ours, theirs):
    """The largest difference, as a share of the root mean square; infinite where the two do not match at all."""
    if len(ours) != len(theirs) or not ours:
        return math.inf
    scale = math.sqrt(sum(v * v for v in ours) / len(ours)) or 1
    differences = [abs(a - b) / scale for a, b in zip(ours, theirs)]
    return math.inf if any(map(math.isnan, differences)) else max(differences)


@dataclasses.dataclass
class Result:
    ours: float  # seconds of a call, median
    peer: float
    ratio: float  # median over the pairs of peer by ours, times the share of the work that is ours
    low: float  # quartiles of the ratio
    high: float
    error: float


def compare(ours, peer, case, pairs, batch, budget):
    """Times the two in turn: `pairs` times, or fewer, but not below three, once `budget` seconds are spent."""
    ours.prepare(case)
    peer.prepare(case)
    worst = error(ours.sample(), peer.sample())
    if worst > case.tolerance():
        raise ValueError(f"{case}: ofpeak and {peer.name} differ by {worst:.2g}")
    times, start = [], time.monotonic()
    while len(times) < pairs and (len(times) < 3 or time.monotonic() - start < budget):
        times.append((ours.seconds(batch), peer.seconds(batch)))
    low, ratio, high = statistics.quantiles([case.kept() * b / a for a, b in times], n=4, method="inclusive")
    return Result(statistics.median(a for a, _ in times), statistics.median(b for _, b in times), ratio, low, high, worst)


def row(case, threads, name, r):
    work, unit = case.work()
    values = [case.op, case.shape, case.dtype, threads, unit, f"{work * case.kept() / r.ours:.4g}", f"{work / r.peer:.4g}", name, f"{r.ratio:.3f}"]
    return dict(zip(COLUMNS, values))


LINE = "{:8} {:19} {:15} {:>2} {:8} {:>8} {:>8} {:>6} {:15} {:>8}  {}"


def show(line, r):
    quartiles = f"[{r.low:.3f} {r.high:.3f}]"
    print(LINE.format(*(line[c] for c in COLUMNS[:7]), line["ratio"], quartiles, f"{r.error:.1e}", line["peer_name"]), flush=True)


def measure(suite, names, args, folder, rows):
    """Appends the rows of one suite; returns whether all results agreed."""
    cases = [c for c in SUITES[suite] if re.search(args.only, str(c))]
    agreed = True
    print(f"{suite}: load average {os.getloadavg()[0]:.1f}; what else runs here widens the quartiles")
    print(LINE.format(*COLUMNS[:4], "unit", "ours", "peer", "ratio", "quartiles", "error", "peer"))
    for threads in args.threads:
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        if len(cores) < threads:
            print(f"skipped: {threads} threads need as many cores, there are {len(cores)}")
            continue
        ours = Peer([build_ours(folder), OURS.get(suite, suite)], cores)
        for name in names:
            need, arguments = PEERS[name]
            try:
                peer = Peer([need(folder), *arguments], cores)
            except Missing as e:
                print(f"skipped {name}: {e}")
                continue
            for case in cases:
                try:
                    result = compare(ours, peer, case, args.pairs, args.batch, args.budget)
                except Missing as e:
                    if args.verbose:
                        print(f"skipped {case} of {name}: {e}")
                    continue
                except ValueError as e:
                    agreed = False
                    print(f"wrong: {e}")
                    continue
                rows.append(row(case, threads, peer.name, result))
                show(rows[-1], result)
            peer.close()
        ours.close()
    return agreed


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("suites", nargs="*", metavar="suite", help=f"{', '.join(SUITES)}; all if none is named")
    p.add_argument("--peers", type=lambda s: s.split(","), help=f"comma-separated, of {', '.join(PEERS)}")
    p.add_argument("--only", default="", help="regular expression; only cases 'op shape dtype' that it finds")
    p.add_argument("--threads", type=lambda s: [int(n) for n in s.split(",")], default=[1, 2], help="thread counts (1,2)")
    p.add_argument("--pairs", type=int, default=9, help="pairs of turns of each case")
    p.add_argument("--batch", type=float, default=0.1, help="seconds that a turn lasts at least")
    p.add_argument("--budget", type=float, default=10, help="seconds after which a case ends early, with three pairs or more")
    p.add_argument("--out", default="results/peers/{suite}.csv", help="the CSV file to write; {suite} is the suite's name")
    p.add_argument("--verbose", action="store_true", help="name the cases that a peer does not have")
    args = p.parse_args(argv)
    args.suites = args.suites or list(SUITES)
    for what, given, known in (("suite", args.suites, SUITES), ("peer", args.peers or [], PEERS)):
        for name in given:
            if name not in known:
                p.error(f"no {what} {name}; choose from {', '.join(known)}")
    return args


def main(argv):
    args = parse(argv)
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("peers: binding processes to cores needs Linux")
    agreed = True
    with tempfile.TemporaryDirectory() as folder:
        for suite in args.suites:
            rows = []
            agreed &= measure(suite, args.peers or DEFAULTS[suite], args, folder, rows)
            out = pathlib.Path(args.out.format(suite=suite))
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("w", newline="") as f:
                writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            print(f"{len(rows)} rows in {out}")
    return 0 if agreed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Missing as e:
        sys.exit(f"peers: {e}")
