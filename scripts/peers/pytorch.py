"""PyTorch as a peer: products, and the training step of the very block in ofpeak/kernels/block.

usage: pytorch.py products | eager | compile | eager-master | compile-master

`products` multiplies with what PyTorch has for each type. The others train: eager and compiled, where bf16 means autocast over fp32
weights; with -master, bf16 means bf16 weights and an fp32 master copy that AdamW updates, as ofpeak has them.
"""

import math
import sys
import time

import torch
import torch.nn.functional as F

SEED, SAMPLE_STREAM, DATA_STREAM = 1, 99, 1 << 20
LR, BETAS, EPS, WEIGHT_DECAY = 1e-3, (0.9, 0.95), 1e-8, 0.1  # block.DefaultHyper
MASK = (1 << 64) - 1
DEVICE = "cpu"


class Unsupported(Exception):
    pass


def mix(z):
    """SplitMix64's finalizer, on a Python int or elementwise on an int64 tensor, whose products wrap around."""

    def shifted(z, n):
        return (z >> n) & ((1 << (64 - n)) - 1)

    def times(z, k):
        return z * k & MASK if isinstance(z, int) else z * (k - (1 << 64) if k >> 63 else k)

    z = times(z ^ shifted(z, 30), 0xBF58476D1CE4E5B9)
    z = times(z ^ shifted(z, 27), 0x94D049BB133111EB)
    return z ^ shifted(z, 31)


GOLDEN = 0x9E3779B97F4A7C15


def hash64(stream, index):
    """block.Hash(SEED, stream, index) for an int64 tensor of indices."""
    start = mix(SEED + GOLDEN * (stream + 1) & MASK)
    start -= (1 << 64) if start >> 63 else 0
    return mix(start + (GOLDEN - (1 << 64)) * (index + 1))


def normal(stream, shape):
    """block.Normal(SEED, stream, ...) as a float32 tensor."""
    h = hash64(stream, torch.arange(math.prod(shape)))
    total = sum((h >> s) & 0xFFFF for s in (0, 16, 32, 48))
    return ((total.double() / 65536 - 2 + 2.0 / 65536) * math.sqrt(3)).float().reshape(shape)


class Product:
    """A product of a linear layer with x (tokens, in), w (out, in), dout (tokens, out)."""

    def __init__(self, op, shape, dtype):
        tokens, cin, cout = (int(d) for d in shape.split("x"))
        a, b = {
            "forward": ((tokens, cin), (cout, cin)),
            "dinput": ((tokens, cout), (cout, cin)),
            "dweight": ((tokens, cout), (tokens, cin)),
        }[op]
        types = {
            "fp32": (lambda x: x, torch.float32, torch.mm),
            "bf16-bf16": (lambda x: x.bfloat16(), torch.bfloat16, torch.mm),
            "int8": (lambda x: (x * 32).round().to(torch.int8), torch.int32, torch._int_mm),
        }
        if dtype not in types:
            raise Unsupported(f"this peer has no {dtype}")
        convert, out_type, self.mm = types[dtype]
        a, b = convert(normal(0, a)), convert(normal(1, b))
        self.a, self.b = (a.t(), b) if op == "dweight" else (a, b.t() if op == "forward" else b)
        self.out = torch.empty(self.a.shape[0], self.b.shape[1], dtype=out_type)

    def step(self):
        self.mm(self.a, self.b, out=self.out)

    def sample(self, count):
        at = [int(h) % (1 << 64) % self.out.numel() for h in hash64(SAMPLE_STREAM, torch.arange(count))]
        return [self.out.view(-1)[i].item() for i in at]


class Block(torch.nn.Module):
    """One pre-LN block of GPT-2 with the initial weights of ofpeak/kernels/block."""

    def __init__(self, layer, layers, c, nh):
        super().__init__()
        self.nh = nh
        self.ln1, self.ln2 = torch.nn.LayerNorm(c), torch.nn.LayerNorm(c)
        self.qkv, self.proj = torch.nn.Linear(c, 3 * c), torch.nn.Linear(c, c)
        self.fc, self.out = torch.nn.Linear(c, 4 * c), torch.nn.Linear(4 * c, c)
        residual = 0.02 / math.sqrt(2 * layers)
        with torch.no_grad():
            for slot, linear, std in ((2, self.qkv, 0.02), (4, self.proj, residual), (8, self.fc, 0.02), (10, self.out, residual)):
                linear.weight.copy_(std * normal(layer * 16 + slot, linear.weight.shape))
                linear.bias.zero_()

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.nh, c // self.nh).permute(2, 0, 3, 1, 4).unbind(0)
        att = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(att.transpose(1, 2).reshape(b, t, c))
        return x + self.out(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class Train:
    """Training steps on one fixed batch against a fixed target. shape is CxNHxTxLxB."""

    def __init__(self, shape, dtype, compiled, master):
        c, nh, t, layers, b = (int(d) for d in shape.split("x"))
        if dtype not in ("fp32", "bf16"):
            raise Unsupported(f"this peer does not train in {dtype}")
        if master and dtype == "fp32":
            raise Unsupported("fp32 weights are their own master copy")
        self.autocast = dtype == "bf16" and not master
        self.model = torch.nn.Sequential(*(Block(i, layers, c, nh) for i in range(layers)))
        self.x, self.target = normal(DATA_STREAM, (b, t, c)), normal(DATA_STREAM + 1, (b, t, c))
        self.params = list(self.model.parameters())
        self.master = [torch.nn.Parameter(p.detach().clone()) for p in self.params] if master else None
        if master:
            self.model.bfloat16()
            self.x, self.target = self.x.bfloat16(), self.target.bfloat16()
        self.x.requires_grad_(True)  # a block inside a model has a gradient to hand down
        self.optimizer = torch.optim.AdamW(
            self.master or self.params, lr=LR, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY, fused=True
        )
        torch.compiler.reset()  # or a second batch size compiles into a kernel for any
        self.loss_of = torch.compile(self.forward, dynamic=False) if compiled else self.forward
        self.losses = [self.step() for _ in range(3)]

    def forward(self, x):
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=self.autocast):
            out = self.model(x)
        return F.mse_loss(out.float(), self.target.float())

    def step(self):
        self.x.grad = None
        for p in self.params:
            p.grad = None
        loss = self.loss_of(self.x)
        loss.backward()
        if self.master:
            for m, p in zip(self.master, self.params):
                m.grad = p.grad.float()
        self.optimizer.step()
        if self.master:
            with torch.no_grad():
                torch._foreach_copy_(self.params, self.master)
        return loss.item()

    def sample(self, count):
        return self.losses[:count]


def prepare(mode, op, shape, dtype):
    training = mode != "products"
    if training != (op == "train"):
        raise Unsupported(f"this peer has no {op}")
    if training:
        return Train(shape, dtype, mode.startswith("compile"), mode.endswith("master"))
    with torch.no_grad():
        work = Product(op, shape, dtype)
        work.step()
    return work


def seconds_per_call(step, at_least):
    start, calls, seconds = time.perf_counter(), 0, 0.0
    while calls == 0 or seconds < at_least:
        step()
        calls += 1
        seconds = time.perf_counter() - start
    return seconds / calls


def main(mode):
    suffix = "" if mode == "products" else " " + mode.replace("-master", " bf16 weights")
    print(f"ready PyTorch {torch.__version__.split('+')[0]}{suffix}", flush=True)
    work = None
    for line in sys.stdin:
        verb, *args = line.split()
        if verb == "prepare":
            work = None
            try:
                work = prepare(mode, *args)
                print("ok", flush=True)
            except (Unsupported, RuntimeError) as e:
                print("no", " ".join(str(e).split()), flush=True)
        elif work is None:
            print("no request was prepared", flush=True)
        elif verb == "time":
            print(f"{seconds_per_call(work.step, float(args[0])):.9g}", flush=True)
        elif verb == "sample":
            print(*(f"{v:.9g}" for v in work.sample(int(args[0]))), flush=True)
        else:
            print(f"no verb {verb}; use prepare, time or sample", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
