"""Write the float64 fixtures that the reference device is tested against, computed by PyTorch and its autograd.

    python3 scripts/golden.py kernels/testdata

Needs torch (CPU) and numpy. Each fixture is an .npz of float64 and int64 arrays, named as in kernels/ref/golden_test.go. Rerun it after adding a
case; the same versions of torch and numpy give the same files.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

SHAPES = {  # name: B, T, C, NH
    "small": (2, 5, 12, 3),
    "wide": (1, 17, 16, 2),
}
EPS = 1e-5


def randn(*shape, std=1.0, mean=0.0):
    return (mean + std * torch.randn(*shape)).requires_grad_()


def grads(out, inputs):
    """Draw dout, run backward, and return dout and the gradients by name."""
    dout = torch.randn_like(out)
    out.backward(dout)
    return {"dout": dout, **{"d" + k: v.grad for k, v in inputs.items()}}


def linear(n, c, oc):
    p = {"x": randn(n, c), "w": randn(oc, c), "bias": randn(oc), "residual": randn(n, oc)}
    out = F.linear(p["x"], p["w"], p["bias"]) + p["residual"]
    return {**p, "out": out, **grads(out, p)}


def linear_gelu(n, c, oc):
    """GELU sits between two products, as in the MLP, so that both epilogues that fuse it are used."""
    p = {"x": randn(n, c), "w": randn(oc, c, std=0.5), "bias": randn(oc), "w2": randn(c, oc)}
    pre = F.linear(p["x"], p["w"], p["bias"])
    act = F.gelu(pre, approximate="tanh")
    out = F.linear(act, p["w2"])
    return {**p, "pre": pre, "act": act, "out": out, **grads(out, p)}


def layernorm(n, c):
    p = {"x": randn(n, c, mean=100), "gain": randn(c), "bias": randn(c)}
    out = F.layer_norm(p["x"], (c,), p["gain"], p["bias"], EPS)
    return {**p, "out": out, **grads(out, p)}


def attend(qkv, b, t, nh):
    """qkv (B,T,3,NH,HS) to (B,T,NH,HS)."""
    q, k, v = qkv.reshape(b, t, 3, nh, -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def attention(b, t, nh, hs):
    p = {"qkv": randn(b, t, 3, nh, hs, std=2)}
    out = attend(p["qkv"], b, t, nh)
    return {**p, "out": out, **grads(out, p)}


def embedding(b, t, v, c):
    ids = torch.randint(v, (b, t))
    p = {"wte": randn(v, c), "wpe": randn(t, c)}
    out = (F.embedding(ids, p["wte"]) + p["wpe"]).reshape(b * t, c)
    return {"ids": ids, **p, "out": out, **grads(out, p)}


def mse(n, c):
    x, target = randn(n, c), torch.randn(n, c)
    loss = F.mse_loss(x, target)
    loss.backward()
    return {"x": x, "target": target, "loss": loss, "dx": x.grad}


def cross_entropy(n, v):
    logits, targets = randn(n, v, mean=120, std=4), torch.randint(v, (n,))
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    return {"logits": logits, "targets": targets, "loss": loss, "dlogits": logits.grad}


def sparse24(n, c, oc):
    """A product with 2:4-pruned weights: gradients exist at the kept positions only."""
    x, dense = randn(n, c), torch.randn(oc, c)
    order = dense.abs().reshape(oc, c // 4, 4).argsort(-1, descending=True)
    mask = torch.zeros(oc, c // 4, 4).scatter_(-1, order[..., :2], 1).reshape(oc, c)
    w = (dense * mask).requires_grad_()
    out = F.linear(x, w)
    g = grads(out, {"x": x, "w": w})
    g["dw"] = g["dw"] * mask
    return {"x": x, "dense": dense, "w": w, "out": out, **g}


def quantize(m):
    """One scale per row, symmetric, 127 for the largest magnitude."""
    scale = m.abs().amax(1, keepdim=True) / 127
    return torch.round(m / scale), scale


def int8(n, c, oc):
    x, dense, bias = torch.randn(n, c), torch.randn(oc, c), torch.randn(oc)
    (qx, sx), (qw, sw) = quantize(x), quantize(dense)
    return {"x": x, "dense": dense, "bias": bias, "values": qw, "scale": sw.squeeze(1), "out": qx @ qw.T * sx * sw.T + bias}


def adamw(n, steps):
    lr, betas, eps, decay = 1e-2, (0.9, 0.95), 1e-8, 0.1
    w = randn(n)
    first, gs = w.detach().clone(), torch.randn(steps, n) * torch.logspace(-10, 0, n)
    opt = torch.optim.AdamW([w], lr, betas, eps, decay)
    for g in gs:
        w.grad = g.clone()
        opt.step()
    state = opt.state[w]
    return {"before": first, "grads": gs, "after": w, "m": state["exp_avg"], "v": state["exp_avg_sq"]}


def block_params(h, c):
    names = {}
    for norm in ("ln1", "ln2"):
        names |= {f"{h}.{norm}.gain": randn(c, mean=1, std=0.2), f"{h}.{norm}.bias": randn(c, std=0.2)}
    for name, oc, ic in (("qkv", 3 * c, c), ("proj", c, c), ("fc", 4 * c, c), ("out", c, 4 * c)):
        names |= {f"{h}.{name}.weight": randn(oc, ic, std=ic**-0.5), f"{h}.{name}.bias": randn(oc, std=0.2)}
    return names


def block(x, p, h, b, t, nh):
    c = x.shape[-1]
    norm = lambda y, k: F.layer_norm(y, (c,), p[f"{h}.{k}.gain"], p[f"{h}.{k}.bias"], EPS)
    lin = lambda y, k: F.linear(y, p[f"{h}.{k}.weight"], p[f"{h}.{k}.bias"])
    x = x + lin(attend(lin(norm(x, "ln1"), "qkv"), b, t, nh).reshape(b * t, c), "proj")
    return x + lin(F.gelu(lin(norm(x, "ln2"), "fc"), approximate="tanh"), "out")


def stack(b, t, c, nh):
    p = block_params("h0", c) | block_params("h1", c)
    x, target = randn(b * t, c), torch.randn(b * t, c)
    out = block(block(x, p, "h0", b, t, nh), p, "h1", b, t, nh)
    loss = F.mse_loss(out, target)
    loss.backward()
    return {"x": x, "target": target, "out": out, "loss": loss, "dx": x.grad, **p, **{"d" + k: v.grad for k, v in p.items()}}


def language_model(b, t, c, nh, v):
    p = {"wte": randn(v, c, std=0.5), "wpe": randn(t, c, std=0.5)} | block_params("h1", c)
    p |= {"lnf.gain": randn(c, mean=1, std=0.2), "lnf.bias": randn(c, std=0.2), "head.weight": randn(v, c, std=0.5)}
    ids, targets = torch.randint(v, (b, t)), torch.randint(v, (b * t,))
    x = block((F.embedding(ids, p["wte"]) + p["wpe"]).reshape(b * t, c), p, "h1", b, t, nh)
    logits = F.linear(F.layer_norm(x, (c,), p["lnf.gain"], p["lnf.bias"], EPS), p["head.weight"])
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    return {"ids": ids, "targets": targets, "loss": loss, **p, **{"d" + k: v.grad for k, v in p.items()}}


def main(folder):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    fixtures = {"adamw": adamw(50, 10)}
    for name, (b, t, c, nh) in SHAPES.items():
        n, hs = b * t, c // nh
        fixtures |= {
            f"linear_{name}": linear(n, c, 2 * c),
            f"linear_gelu_{name}": linear_gelu(n, c, 2 * c),
            f"layernorm_{name}": layernorm(n, c),
            f"attention_{name}": attention(b, t, nh, hs),
            f"embedding_{name}": embedding(b, t, 7, c),
            f"mse_{name}": mse(n, c),
            f"cross_entropy_{name}": cross_entropy(n, 11),
            f"sparse24_{name}": sparse24(n, 16, 3 * c),
            f"int8_{name}": int8(n, c, 3 * c),
            f"stack_{name}": stack(b, t, c, nh),
            f"lm_{name}": language_model(b, t, c, nh, 11),
        }
    for name, arrays in fixtures.items():
        np.savez_compressed(folder / f"{name}.npz", **{k: v.detach().numpy() for k, v in arrays.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
