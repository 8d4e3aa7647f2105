#!/usr/bin/env python3
"""Golden vectors from PyTorch, which the tests hold the engine, the encoder and AdamW to.

Run from the repository root, with any PyTorch >= 1.13 (made with Debian 12's python3-torch 1.13):

    python3 test/golden/make.py

It rewrites ops.json, encoder.json, adamw.json, training.json, encoders.json, losses.json, tower.json,
mixture.json, cross.json, decoder.json and ranker.json beside this script; the same seed gives the same files.
Everything is computed in float64. Inputs are float32 values (nine digits restore them exactly), results are rounded to nine significant digits. Every file is
`{"about": ..., "config": {...}, "tensors": {name: {"shape": [...], "data": [...]}}}`.

Letters: L packed tokens, D width, H heads, F feed-forward width, V items, T longest sequence.
Weight matrices are [in, out]: y = x W + b.
"""

import json
import math
import os

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
EPS = 1e-5
GENERATOR = torch.Generator().manual_seed(20240607)


# ---- helpers ---------------------------------------------------------------------------------------


def normal(*shape, scale=1.0, shift=0.0):
    """Normal numbers that float32 holds exactly, as float64."""
    return (torch.randn(shape, generator=GENERATOR) * scale + shift).float().double()


def integers(high, *shape):
    return torch.randint(0, high, shape, generator=GENERATOR)


def plain(tensor):
    """A tensor as {"shape", "data"}; floats with nine significant digits, integers as they are."""
    flat = tensor.detach().reshape(-1).tolist()
    if tensor.is_floating_point():
        flat = [float(f"{x:.9g}") for x in flat]
        flat = [int(x) if x == int(x) and abs(x) < 1e9 else x for x in flat]
    return {"shape": list(tensor.shape), "data": flat}


def write(name, about, config, tensors):
    body = {"about": about, "config": config, "tensors": {key: plain(t) for key, t in tensors.items()}}
    path = os.path.join(HERE, name)
    with open(path, "w") as file:
        lines = [f"{json.dumps(key)}: {json.dumps(t, separators=(',', ':'))}" for key, t in body["tensors"].items()]
        file.write('{\n"about": ' + json.dumps(about) + ',\n"config": ' + json.dumps(config) + ',\n"tensors": {\n')
        file.write(",\n".join(lines) + "\n}\n}\n")
    print(f"{name}: {len(lines)} tensors, {os.path.getsize(path) / 1000:.0f} kB")


def leaf(tensor):
    return tensor.clone().requires_grad_(True)


# ---- the encoder -----------------------------------------------------------------------------------


def bounds(lengths, budget):
    """start, end and positions of each token, [budget]; the tail that is left free has start = end = 0."""
    start, end, positions = (torch.zeros(budget, dtype=torch.int64) for _ in range(3))
    at = 0
    for length in lengths:
        start[at : at + length], end[at : at + length] = at, at + length
        positions[at : at + length] = torch.arange(length)
        at += length
    return start, end, positions


def attention(qkv, start, end, heads, causal):
    """qkv [L, 3D] = q | k | v, each of H heads of K contiguous columns. Returns out [L, D], logsumexp [L, H].

    Token i sees the tokens j of [start[i], end[i]), and j <= i if causal. A token that sees none gives zeros
    (its logsumexp is stored as 0 and means nothing)."""
    tokens, width = qkv.shape[0], qkv.shape[1] // 3
    q, k, v = (part.reshape(tokens, heads, -1).transpose(0, 1) for part in qkv.split(width, dim=1))
    scores = q @ k.transpose(1, 2) / math.sqrt(width // heads)
    j = torch.arange(tokens)
    seen = (j[None, :] >= start[:, None]) & (j[None, :] < end[:, None])
    if causal:
        seen &= j[None, :] <= j[:, None]
    empty = ~seen.any(dim=1)
    scores = scores.masked_fill(~(seen | empty[:, None]), -math.inf)
    weights = torch.softmax(scores, dim=-1).masked_fill(empty[None, :, None], 0.0)
    out = (weights @ v).transpose(0, 1).reshape(tokens, width)
    logsumexp = torch.logsumexp(scores, dim=-1).masked_fill(empty[None, :], 0.0).transpose(0, 1)
    return out, logsumexp


def parameters(D, F_, V, T, blocks):
    """Random parameters; norms are near one and biases are not zero, so that no gradient hides."""
    p = {"items.weight": normal(V, D, scale=0.5), "positions.weight": normal(T, D, scale=0.3)}
    for i in range(blocks):
        b = f"blocks.{i}."
        p[b + "norm1.weight"] = normal(D, scale=0.1, shift=1.0)
        p[b + "norm1.bias"] = normal(D, scale=0.1)
        p[b + "attention.qkv.weight"] = normal(D, 3 * D, scale=D**-0.5)
        p[b + "attention.qkv.bias"] = normal(3 * D, scale=0.1)
        p[b + "attention.out.weight"] = normal(D, D, scale=D**-0.5)
        p[b + "attention.out.bias"] = normal(D, scale=0.1)
        p[b + "norm2.weight"] = normal(D, scale=0.1, shift=1.0)
        p[b + "norm2.bias"] = normal(D, scale=0.1)
        p[b + "ffn.up.weight"] = normal(D, F_, scale=D**-0.5)
        p[b + "ffn.up.bias"] = normal(F_, scale=0.1)
        p[b + "ffn.down.weight"] = normal(F_, D, scale=F_**-0.5)
        p[b + "ffn.down.bias"] = normal(D, scale=0.1)
    p["norm.weight"] = normal(D, scale=0.1, shift=1.0)
    p["norm.bias"] = normal(D, scale=0.1)
    return p


def encode(p, batch, heads):
    """Pre-layernorm causal encoder: hidden states [L, D] after the last norm."""
    D = p["items.weight"].shape[1]
    norm = lambda x, name: F.layer_norm(x, (D,), p[name + ".weight"], p[name + ".bias"], EPS)
    linear = lambda x, name: x @ p[name + ".weight"] + p[name + ".bias"]
    x = p["items.weight"][batch["items"]] + p["positions.weight"][batch["positions"]]
    for i in range(sum(key.endswith("norm1.bias") for key in p)):
        b = f"blocks.{i}."
        qkv = linear(norm(x, b + "norm1"), b + "attention.qkv")
        a, _ = attention(qkv, batch["start"], batch["end"], heads, causal=True)
        x = x + linear(a, b + "attention.out")
        up = F.gelu(linear(norm(x, b + "norm2"), b + "ffn.up"), approximate="tanh")
        x = x + linear(up, b + "ffn.down")
    return norm(x, "norm")


def catalogue_loss(h, table, targets, weights):
    """sum_i weights[i] * cross-entropy(h[i] · tableᵀ, targets[i])"""
    return (F.cross_entropy(h @ table.T, targets, reduction="none") * weights).sum()


def make_batch(lengths, budget, V, even):
    """A packed batch; the tail has items, positions, targets, weights, start and end 0."""
    used = sum(lengths)
    start, end, positions = bounds(lengths, budget)
    items, targets = integers(V, budget), integers(V, budget)
    weights = torch.full((budget,), 1.0, dtype=torch.float64) if even else torch.rand(budget, generator=GENERATOR).double() + 0.2
    weights = (weights / weights[:used].sum()).float().double()
    for tensor in (items, targets, weights):
        tensor[used:] = 0
    return {"items": items, "positions": positions, "targets": targets, "weights": weights, "start": start, "end": end}


# ---- the files -------------------------------------------------------------------------------------


def make_ops():
    t = {}

    def op(name, inputs, function, results=("out",)):
        """Stores inputs, results, a random upstream gradient of the first result (1 if scalar), and all gradients."""
        leaves = {key: leaf(x) if x.is_floating_point() else x for key, x in inputs.items()}
        out = function(**leaves)
        out = out if isinstance(out, tuple) else (out,)
        upstream = normal(*out[0].shape) if out[0].dim() else torch.ones((), dtype=torch.float64)
        (out[0] * upstream).sum().backward()
        for key, x in leaves.items():
            t[f"{name}.{key}"] = x
        for key, x in zip(results, out):
            t[f"{name}.{key}"] = x
        t[f"{name}.dOut"] = upstream
        for key, x in leaves.items():
            if x.is_floating_point() and x.grad is not None:
                t[f"{name}.d{key[0].upper()}{key[1:]}"] = x.grad

    op(
        "layernorm",
        {"x": normal(5, 12, scale=2, shift=0.5), "weight": normal(12, scale=0.2, shift=1), "bias": normal(12)},
        lambda x, weight, bias: F.layer_norm(x, (12,), weight, bias, EPS),
    )
    wide = torch.cat([normal(40, scale=2), torch.tensor([0.0, 1e-4, -1e-4, 10.0, -10.0, 50.0, -50.0, 1000.0, -1000.0])])
    wide = wide.float().double()
    op("gelu", {"x": wide}, lambda x: F.gelu(x, approximate="tanh"))
    op("silu", {"x": wide}, lambda x: F.silu(x))
    op("relu", {"x": wide}, lambda x: F.relu(x))
    op("sigmoid", {"x": wide}, lambda x: torch.sigmoid(x))
    rows = normal(4, 9, scale=3)
    rows[2] += 1000  # only the differences count
    rows[3, 4] = 80
    op("softmax", {"x": rows.float().double()}, lambda x: torch.softmax(x, dim=-1))
    op(
        "bceWithLogits",
        {"x": wide, "target": (torch.rand(49, generator=GENERATOR) < 0.5).double().index_fill(0, torch.tensor([0, 1]), 0.25).detach()},
        lambda x, target: F.binary_cross_entropy_with_logits(x, target.detach(), reduction="none"),
    )
    weights = torch.tensor([0.5, 0.0, 1.0, 2.0, 0.25, 1.5], dtype=torch.float64)
    op(
        "crossEntropy",
        {"logits": normal(6, 11, scale=3), "targets": integers(11, 6), "weights": weights},
        lambda logits, targets, weights: (
            (F.cross_entropy(logits, targets, reduction="none") * weights.detach()).sum(),
            F.cross_entropy(logits, targets, reduction="none"),
        ),
        ("out", "rows"),
    )
    op(
        "catalogueCrossEntropy",
        {"h": normal(6, 8), "table": normal(37, 8), "targets": integers(37, 6), "weights": weights},
        lambda h, table, targets, weights: catalogue_loss(h, table, targets, weights.detach()),
    )
    op(
        "embedding",
        {"table": normal(7, 4), "index": torch.tensor([3, 0, 3, 6, 6, 6, 1])},
        lambda table, index: table[index],
    )
    start, end, _ = bounds([6, 1, 9], 18)
    for name, causal in (("attentionCausal", True), ("attentionFull", False)):
        op(
            name,
            {"qkv": normal(18, 48), "start": start, "end": end},
            lambda qkv, start, end: attention(qkv, start, end, 2, causal),
            ("out", "logsumexp"),
        )
    write(
        "ops.json",
        "Single operations. NAME.out is the result, NAME.dOut a random upstream gradient, NAME.dX the gradient of input x.",
        {"layernormEps": EPS, "gelu": "tanh", "attention": {"L": 18, "D": 16, "H": 2, "lengths": [6, 1, 9]}},
        t,
    )


CONFIG = {"D": 16, "H": 2, "F": 32, "V": 13, "T": 8, "L": 24, "blocks": 2, "eps": EPS}
KEY_BIAS = (
    "The key third of attention.qkv.bias, elements [D, 2D), shifts all scores of a row alike: its true gradient is 0, "
    "what stands there is rounding, and Adam blows such noise up to whole steps. Leave it out of comparisons."
)


def make_encoder():
    p = {key: leaf(x) for key, x in parameters(16, 32, 13, 8, 2).items()}
    batch = make_batch([8, 5, 7], 24, 13, even=False)
    h = encode(p, batch, 2)
    loss = catalogue_loss(h, p["items.weight"], batch["targets"], batch["weights"])
    loss.backward()
    t = {f"batch.{key}": x for key, x in batch.items()}
    t.update({f"parameters.{key}": x for key, x in p.items()})
    t["hidden"] = h[:20]
    t["logits"] = h[:20] @ p["items.weight"].T
    t["loss"] = loss
    t.update({f"gradients.{key}": x.grad for key, x in p.items()})
    write(
        "encoder.json",
        "A two-block packed encoder: hidden states [20, D] and logits [20, V] of the real tokens, loss, gradients. " + KEY_BIAS,
        {**CONFIG, "lengths": [8, 5, 7]},
        t,
    )


def adamw(p, decayed, lr, decay):
    groups = [
        {"params": [x for key, x in p.items() if decayed(key)], "weight_decay": decay},
        {"params": [x for key, x in p.items() if not decayed(key)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-8)


def make_adamw():
    """Five steps; the gradients' norm is above the clip in some steps and below it in others."""
    shapes = {"a.weight": (5, 7), "b.weight": (3, 4), "a.bias": (7,), "norm.weight": (9,)}
    p = {key: leaf(normal(*shape)) for key, shape in shapes.items()}
    decays = ["a.weight", "b.weight"]
    optimizer = adamw(p, lambda key: key in decays, lr=1e-2, decay=0.1)
    t, norms = {f"start.{key}": x.detach().clone() for key, x in p.items()}, []
    for step, scale in enumerate([1.0, 0.05, 3.0, 1e-3, 0.3], start=1):
        for key, x in p.items():
            x.grad = normal(*shapes[key], scale=scale)
            t[f"step{step}.gradient.{key}"] = x.grad.clone()
        norms.append(float(torch.nn.utils.clip_grad_norm_(list(p.values()), 1.0)))
        optimizer.step()
        for key, x in p.items():
            t[f"step{step}.parameter.{key}"] = x.detach().clone()
    for key, x in p.items():
        t[f"end.m.{key}"], t[f"end.v.{key}"] = optimizer.state[x]["exp_avg"], optimizer.state[x]["exp_avg_sq"]
    t["norms"] = torch.tensor(norms, dtype=torch.float64)
    write(
        "adamw.json",
        "AdamW, decoupled decay on some tensors, gradients clipped to a global norm (stepN.gradient is before clipping).",
        {"steps": 5, "lr": 1e-2, "betas": [0.9, 0.98], "eps": 1e-8, "decay": 0.1, "decayed": decays, "clip": 1.0},
        t,
    )


def train(p, batches, dtype):
    p = {key: leaf(x.to(dtype)) for key, x in p.items()}
    matrix = lambda key: key.startswith("blocks.") and p[key].dim() == 2
    optimizer = adamw(p, matrix, lr=1e-2, decay=0.01)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad()
        h = encode(p, batch, 2)
        loss = catalogue_loss(h, p["items.weight"], batch["targets"], batch["weights"].to(dtype))
        loss.backward()
        losses.append(loss.item())
        norms.append(float(torch.nn.utils.clip_grad_norm_(list(p.values()), 1.0)))
        optimizer.step()
    return losses, norms, {key: x.detach().double() for key, x in p.items()}, [key for key in p if matrix(key)]


def without_key_bias(key, x):
    return torch.cat([x[:16], x[32:]]) if key.endswith("qkv.bias") else x


def make_training():
    first = parameters(16, 32, 13, 8, 2)
    lengths = [[8, 5, 7], [8, 8, 8], [1, 2, 3, 4, 5], [8, 8, 1, 6], [7, 7, 7], [2, 8, 8, 3], [8, 4, 4, 8], [6, 6, 6, 5], [8, 8, 3, 2], [5, 8, 7]]
    batches = [make_batch(one, 24, 13, even=True) for one in lengths]
    for batch in batches:  # something to learn: mostly the item after the next one
        follows = (batch["items"] + 2) % 13
        batch["targets"] = torch.where((torch.rand(24, generator=GENERATOR) < 0.8) & (batch["weights"] > 0), follows, batch["targets"])
    losses, norms, last, decayed = train(first, batches, torch.float64)
    losses32, _, last32, _ = train(first, batches, torch.float32)
    t = {}
    for step, batch in enumerate(batches, start=1):
        t.update({f"step{step}.batch.{key}": x for key, x in batch.items()})
    t["losses"], t["norms"] = (torch.tensor(x, dtype=torch.float64) for x in (losses, norms))
    t.update({f"start.{key}": x for key, x in first.items()})
    t.update({f"end.{key}": x for key, x in last.items()})
    gap = {key: float((without_key_bias(key, last[key]) - without_key_bias(key, last32[key])).abs().max()) for key in last}
    float32 = {
        "losses": float(f"{max(abs(a - b) for a, b in zip(losses, losses32)):.3g}"),
        "parameters": float(f"{max(gap.values()):.3g}"),
    }
    print("losses", [round(x, 4) for x in losses], "norms", [round(x, 2) for x in norms], "float32 differs by", float32)
    write(
        "training.json",
        "Ten steps of AdamW on the packed encoder, dropout 0, a new batch each step: losses, gradient norms before clipping, "
        "parameters before and after. config.float32 is how far PyTorch's own float32 run ends from this one. " + KEY_BIAS,
        {**CONFIG, "steps": 10, "lr": 1e-2, "betas": [0.9, 0.98], "adamEps": 1e-8, "decay": 0.01, "decayed": decayed, "clip": 1.0,
         "lengths": lengths, "float32": float32},
        t,
    )


# ---- the encoders of other recipes -----------------------------------------------------------------

SMALL = {"D": 8, "H": 2, "F": 12, "V": 11, "T": 8, "L": 24, "blocks": 2}
PLAIN = {
    "block": "transformer", "norm": "pre", "positions": "learned", "activation": "gelu", "bias": "none",
    "embedding": "plain", "projection": "none", "direction": "causal",
}
ENCODERS = {
    "post": {"norm": "post", "direction": "bidirectional", "projection": "gelu"},
    "rotary": {"positions": "rotary", "activation": "swiglu"},
    "sinusoidal": {"positions": "sinusoidal", "activation": "relu", "bias": "relative"},
    "time": {"positions": "none", "activation": "silu", "bias": "time", "direction": "bidirectional"},
    "query": {"norm": "query", "embedding": "scaled", "activation": "relu"},
    "ligr": {"block": "ligr", "activation": "swiglu"},
    "hstu": {"block": "hstu", "bias": "both"},
}


def half_octave(x):
    """0, 1, 2, 3, 4-5, 6-7, 8-11, 12-15, ..."""
    edges = [0, 1]
    while edges[-1] <= x:
        octave = 2 ** (len(edges) // 2)
        edges.append(octave + (octave // 2 if len(edges) % 2 else 0))
    return len(edges) - 2 if edges[-1] > x else len(edges) - 1


def biases(s, table, batch):
    """[H, L, L] added to the scores: a column of the table for the distance in positions, another for that in time."""
    tokens = len(batch["items"])
    one_side = s["direction"] == "causal"
    both = s["bias"] == "both"
    position, time = (torch.zeros(tokens, tokens, dtype=torch.int64) for _ in range(2))
    for i in range(tokens):
        for j in range(tokens):
            side = 64 if j > i and not one_side else 0
            x = abs(i - j)
            position[i, j] = side + (x if x < 32 else 22 + half_octave(x))
            time[i, j] = side + half_octave(abs(int(batch["times"][i]) - int(batch["times"][j])))
    at_time = table.shape[1] // 2 if both else 0
    out = torch.zeros(table.shape[0], tokens, tokens, dtype=torch.float64)
    if s["bias"] in ("relative", "both"):
        out = out + table[:, position]
    if s["bias"] in ("time", "both"):
        out = out + table[:, at_time + time]
    return out


def turn(x, positions):
    """Rotary: x [L, H, K], pairs (2c, 2c + 1) as complex numbers times exp(i p theta_c)."""
    half = x.shape[-1] // 2
    theta = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = positions.double()[:, None] * theta
    turned = torch.view_as_complex(x.reshape(*x.shape[:-1], half, 2).contiguous()) * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.view_as_real(turned).reshape(x.shape)


def encoder_parameters(s, D, H, F_, V, T, blocks):
    p = {"items.weight": normal(V, D, scale=0.5)}
    matrix = lambda name, rows, cols: p.update({name + ".weight": normal(rows, cols, scale=rows**-0.5), name + ".bias": normal(cols, scale=0.1)})
    norm = lambda name: p.update({name + ".weight": normal(D, scale=0.1, shift=1.0), name + ".bias": normal(D, scale=0.1)})
    if s["positions"] == "learned":
        p["positions.weight"] = normal(T, D, scale=0.3)
    if s["direction"] == "bidirectional":
        p["mask.weight"] = normal(1, D, scale=0.5)
    for i in range(blocks):
        b = f"blocks.{i}."
        norm(b + "norm1")
        if s["norm"] == "query":
            matrix(b + "attention.query", D, D)
            matrix(b + "attention.keyvalue", D, 2 * D)
        else:
            matrix(b + "attention.qkv", D, 3 * D)
        if s["bias"] != "none":
            p[b + "attention.bias"] = normal(H, 64 * (2 if s["bias"] == "both" else 1) * (1 if s["direction"] == "causal" else 2))
        if s["norm"] != "query":
            matrix(b + "attention.out", D, D)
        norm(b + "norm2")
        if s["block"] == "hstu":
            matrix(b + "gate", D, D)
            continue
        matrix(b + "ffn.up", D, 2 * F_ if s["activation"] == "swiglu" else F_)
        matrix(b + "ffn.down", F_, D)
        if s["block"] == "ligr":
            matrix(b + "gate1", D, D)
            matrix(b + "gate2", D, D)
    norm("norm")
    if s["projection"] == "gelu":
        matrix("projection", D, D)
        norm("projection.norm")
    return p


def encode_as(s, p, batch, heads, blocks, window):
    """Hidden states [L, D] of any encoder; unused tokens get whatever they get."""
    V, D = p["items.weight"].shape
    K = D // heads
    norm = lambda x, name: F.layer_norm(x, (D,), p[name + ".weight"], p[name + ".bias"], EPS)
    linear = lambda x, name: x @ p[name + ".weight"] + p[name + ".bias"]
    gelu = lambda x: F.gelu(x, approximate="tanh")
    activations = {"gelu": gelu, "relu": F.relu, "silu": F.silu}
    tokens = len(batch["items"])
    j = torch.arange(tokens)
    seen = (j[None, :] >= batch["start"][:, None]) & (j[None, :] < batch["end"][:, None])
    if s["direction"] == "causal":
        seen &= j[None, :] <= j[:, None]
    empty = ~seen.any(dim=1)

    def attend(qkv, i):
        q, k, v = (part.reshape(tokens, heads, K) for part in qkv.split(D, dim=1))
        if s["positions"] == "rotary":
            q, k = turn(q, batch["positions"]), turn(k, batch["positions"])
        scores = torch.einsum("ihk,jhk->hij", q, k)
        if s["block"] != "hstu":
            scores = scores / math.sqrt(K)
        if s["bias"] != "none":
            scores = scores + biases(s, p[f"blocks.{i}.attention.bias"], batch)
        if s["block"] == "hstu":
            weights = F.silu(scores) / window * seen
        else:
            weights = torch.softmax(scores.masked_fill(~(seen | empty[:, None]), -math.inf), dim=-1).masked_fill(empty[None, :, None], 0.0)
        return torch.einsum("hij,jhk->ihk", weights, v).reshape(tokens, D)

    def feed(x, b):
        up = linear(x, b + "ffn.up")
        if s["activation"] == "swiglu":
            gate, up = up.chunk(2, dim=1)
            return linear(F.silu(gate) * up, b + "ffn.down")
        return linear(activations[s["activation"]](up), b + "ffn.down")

    table = torch.cat([p["items.weight"], p["mask.weight"]]) if "mask.weight" in p else p["items.weight"]
    x = table[batch["items"]] * (math.sqrt(D) if s["embedding"] == "scaled" else 1)
    if s["positions"] == "learned":
        x = x + p["positions.weight"][batch["positions"]]
    if s["positions"] == "sinusoidal":
        theta = 10000.0 ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
        angle = batch["positions"].double()[:, None] * theta
        x = x + torch.stack([angle.sin(), angle.cos()], dim=2).reshape(tokens, D)
    if s["norm"] == "post":
        x = norm(x, "norm")
    for i in range(blocks):
        b = f"blocks.{i}."
        if s["block"] == "hstu":
            n = norm(x, b + "norm1")
            u = F.silu(linear(n, b + "gate"))
            x = x + linear(u * norm(attend(F.silu(linear(n, b + "attention.qkv")), i), b + "norm2"), b + "attention.out")
        elif s["norm"] == "query":
            n = norm(x, b + "norm1")
            y = norm(n + attend(torch.cat([linear(n, b + "attention.query"), linear(x, b + "attention.keyvalue")], dim=1), i), b + "norm2")
            x = y + feed(y, b)
        elif s["norm"] == "post":
            x = norm(x + linear(attend(linear(x, b + "attention.qkv"), i), b + "attention.out"), b + "norm1")
            x = norm(x + feed(x, b), b + "norm2")
        else:
            gate = (lambda x, name: torch.sigmoid(linear(x, b + name))) if s["block"] == "ligr" else lambda x, name: 1
            x = x + gate(x, "gate1") * linear(attend(linear(norm(x, b + "norm1"), b + "attention.qkv"), i), b + "attention.out")
            x = x + gate(x, "gate2") * feed(norm(x, b + "norm2"), b)
    if s["norm"] != "post":
        x = norm(x, "norm")
    if s["projection"] == "gelu":
        x = norm(gelu(linear(x, "projection")), "projection.norm")
    return x


def make_encoders():
    GENERATOR.manual_seed(20261121)
    t = {}
    batch = make_batch([8, 5, 7], SMALL["L"], SMALL["V"], even=False)
    batch["times"] = torch.cat([integers(2 ** (3 * k), 4) for k in range(1, 7)]).cumsum(0)
    t.update({f"batch.{key}": x for key, x in batch.items()})
    masked = dict(batch, items=batch["items"].clone())
    for at in (2, 7, 11, 19):
        masked["items"][at] = SMALL["V"]
    t["masked.items"] = masked["items"]
    for name, changes in ENCODERS.items():
        s = {**PLAIN, **changes}
        p = {key: leaf(x) for key, x in encoder_parameters(s, *(SMALL[key] for key in ("D", "H", "F", "V", "T", "blocks"))).items()}
        h = encode_as(s, p, masked if s["direction"] == "bidirectional" else batch, SMALL["H"], SMALL["blocks"], SMALL["T"])
        loss = catalogue_loss(h, p["items.weight"], batch["targets"], batch["weights"])
        loss.backward()
        t[f"{name}.hidden"], t[f"{name}.loss"] = h[:20], loss
        for key, x in p.items():
            t[f"{name}.parameters.{key}"], t[f"{name}.gradients.{key}"] = x, x.grad
    write(
        "encoders.json",
        "Two-block encoders of other kinds (config.encoders: what differs from config.plain) on one packed batch: hidden states "
        "[20, D] of the real tokens, loss, gradients. Bidirectional ones read masked.items, where V stands for the mask. " + KEY_BIAS,
        {**SMALL, "lengths": [8, 5, 7], "plain": PLAIN, "encoders": ENCODERS},
        t,
    )


def make_losses():
    """Losses over sampled negatives: L positions in groups that share N negatives each, targets left out where drawn."""
    L, D, V, N, groups = 12, 8, 9, 4, 3
    h, table = normal(L, D), normal(V, D)
    targets, negatives = integers(V, L), integers(V, groups, N)
    negatives[0, 1] = targets[0]  # a hit for certain
    weights = (torch.rand(L, generator=GENERATOR) + 0.1).float().double()
    weights[5] = 0
    logq = normal(groups, N, shift=-2)
    t = {"h": h, "table": table, "targets": targets, "negatives": negatives, "weights": weights, "logq": logq}
    lists = negatives.repeat_interleave(L // groups, dim=0)
    hit = lists == targets[:, None]

    def store(name, function, cosine=None):
        x, e = leaf(h), leaf(table)
        a, b = (F.normalize(x, dim=1) / cosine, F.normalize(e, dim=1)) if cosine else (x, e)
        loss = (function(a, b) * weights).sum()
        loss.backward()
        t.update({f"{name}.loss": loss, f"{name}.dH": x.grad, f"{name}.dTable": e.grad})

    def scores(x, e):
        return (x * e[targets]).sum(dim=1), torch.einsum("ld,lnd->ln", x, e[lists])

    def sampled_softmax(x, e, correction):
        pos, neg = scores(x, e)
        logits = torch.cat([pos[:, None], (neg - correction).masked_fill(hit, -math.inf)], dim=1)
        return F.cross_entropy(logits, torch.zeros(L, dtype=torch.int64), reduction="none")

    def bce(x, e, beta):
        pos, neg = scores(x, e)
        others = F.binary_cross_entropy_with_logits(neg, torch.zeros_like(neg), reduction="none").masked_fill(hit, 0.0)
        return (-beta * F.logsigmoid(pos) + others.sum(dim=1)) / (N + 1)

    def bpr(x, e):
        pos, neg = scores(x, e)
        return -F.logsigmoid(pos[:, None] - neg).masked_fill(hit, 0.0).sum(dim=1) / N

    alpha, t_ = N / (V - 1), 0.75
    beta = alpha * (t_ * (1 - 1 / alpha) + 1 / alpha)
    full = lambda x, e, smoothing=0.0: F.cross_entropy(x @ e.T, targets, reduction="none", label_smoothing=smoothing)
    store("labelSmoothing", lambda x, e: full(x, e, 0.2))
    store("cosine", full, cosine=0.1)
    store("sampledSoftmax", lambda x, e: sampled_softmax(x, e, 0.0))
    store("corrected", lambda x, e: sampled_softmax(x, e, logq.repeat_interleave(L // groups, dim=0)))
    store("sampledCosine", lambda x, e: sampled_softmax(x, e, 0.0), cosine=0.1)
    store("bce", lambda x, e: bce(x, e, 1.0))
    store("gbce", lambda x, e: bce(x, e, beta))
    store("bpr", bpr)
    write(
        "losses.json",
        "Losses of hidden states h against an item table, weighted and summed, and their gradients. Position i has list i // (L / groups).",
        {"L": L, "D": D, "V": V, "N": N, "groups": groups, "labelSmoothing": 0.2, "temperature": 0.1, "calibration": t_},
        t,
    )


def make_tower():
    """Catalogue embeddings from attribute tokens, read by an encoder; items from `known` on have no ID embedding."""
    D, H, F_, V, known, A, T = 8, 2, 12, 7, 6, 9, 6
    lengths, budget = [6, 4], 12
    p = parameters(D, F_, known, T, 1)
    p["tower.attributes.weight"] = normal(A, D, scale=0.5)
    for name in ("norm1", "norm2", "norm"):
        p[f"tower.{name}.weight"] = normal(D, scale=0.1, shift=1.0)
        p[f"tower.{name}.bias"] = normal(D, scale=0.1)
    for name, rows, cols in (("attention.qkv", D, 3 * D), ("attention.out", D, D), ("ffn.up", D, 2 * D), ("ffn.down", 2 * D, D), ("out", D, D)):
        p[f"tower.{name}.weight"] = normal(rows, cols, scale=rows**-0.5)
        p[f"tower.{name}.bias"] = normal(cols, scale=0.1)
    p = {key: leaf(x) for key, x in p.items()}
    tokens = [1 + (i * 3) % 4 for i in range(V)]
    n = sum(tokens)
    bags = torch.zeros(n, A, dtype=torch.float64)
    for t in range(n):
        for e in range(1 + t % 3):
            bags[t, (2 * t + 3 * e) % A] = (1 + t + e) % 5 / 4
    start, end, _ = bounds(tokens, n)
    norm = lambda x, name: F.layer_norm(x, (D,), p[f"tower.{name}.weight"], p[f"tower.{name}.bias"], EPS)
    linear = lambda x, name: x @ p[f"tower.{name}.weight"] + p[f"tower.{name}.bias"]
    x = bags @ p["tower.attributes.weight"]
    a, _ = attention(linear(norm(x, "norm1"), "attention.qkv"), start, end, H, causal=False)
    x = x + linear(a, "attention.out")
    x = x + linear(F.gelu(linear(norm(x, "norm2"), "ffn.up"), approximate="tanh"), "ffn.down")
    mean = torch.stack([row.mean(dim=0) for row in x.split(tokens)])
    tower = linear(norm(mean, "norm"), "out")
    table = torch.cat([p["items.weight"], torch.zeros(V - known, D, dtype=torch.float64)]) + tower
    batch = make_batch(lengths, budget, known, even=False)
    encoder = {key: x for key, x in p.items() if not key.startswith("tower.")}
    h = encode({**encoder, "items.weight": table[:known]}, batch, H)
    loss = catalogue_loss(h, table[:known], batch["targets"], batch["weights"])
    loss.backward()
    t = {f"batch.{key}": x for key, x in batch.items()}
    t |= {"tokens": torch.tensor(tokens), "bags": bags, "catalogue": table, "loss": loss.reshape(1)}
    t |= {f"parameters.{key}": x for key, x in p.items()} | {f"gradients.{key}": x.grad for key, x in p.items()}
    config = {"d": D, "heads": H, "ff": F_, "blocks": 1, "window": T, "budget": budget, "items": V, "known": known, "used": sum(lengths), "rows": A}
    write("tower.json", "The item tower under an encoder: catalogue, loss over the known items, every gradient.", config, t)


def make_mixture():
    """A mixture of logits over sampled negatives, and its scores of the whole catalogue: what settings with head=mol make."""
    GENERATOR.manual_seed(20261122)
    L, D, V, N, groups, ku, kx, P, H, temperature = 12, 8, 70, 4, 3, 2, 4, 4, 8, 0.1
    K = ku * kx
    shapes = {
        "user.weight": (D, ku * P),
        "user.bias": (ku * P,),
        "item.weight": (D, kx * P),
        "item.bias": (kx * P,),
        "gate.user.up.weight": (D, D),
        "gate.user.up.bias": (D,),
        "gate.user.down.weight": (D, K),
        "gate.user.down.bias": (K,),
        "gate.item.up.weight": (D, D),
        "gate.item.up.bias": (D,),
        "gate.item.down.weight": (D, K),
        "gate.cross.up.weight": (K, H),
        "gate.cross.up.bias": (H,),
        "gate.cross.down.weight": (H, K),
    }
    p = {f"head.{name}": leaf(normal(*shape, scale=0.5)) for name, shape in shapes.items()}
    h, table = leaf(normal(L, D)), leaf(normal(V, D))
    targets, negatives = integers(V, L), integers(V, groups, N)
    negatives[0, 1] = targets[0]
    weights = (torch.rand(L, generator=GENERATOR) + 0.1).float().double()
    weights[5] = 0
    t = {"h": h, "table": table, "targets": targets, "negatives": negatives, "weights": weights}
    lists = negatives.repeat_interleave(L // groups, dim=0)

    def linear(x, name):
        y = x @ p[f"head.{name}.weight"]
        return y + p[f"head.{name}.bias"] if f"head.{name}.bias" in p else y

    mlp = lambda x, name: linear(F.silu(linear(x, name + ".up")), name + ".down")

    def scores(x, e):
        """States [L, D] against items [L, N, D]."""
        f = F.normalize(linear(x, "user").reshape(L, ku, P), dim=-1)
        g = F.normalize(linear(e, "item").reshape(L, -1, kx, P), dim=-1)
        z = torch.einsum("lip,lnjp->lnij", f, g).reshape(L, -1, K)
        pi = torch.softmax(mlp(x, "gate.user")[:, None] + mlp(e, "gate.item") + mlp(z, "gate.cross"), dim=-1)
        return (pi * z).sum(dim=-1) / temperature

    pos, neg = scores(h, table[targets][:, None]), scores(h, table[lists])
    logits = torch.cat([pos, neg.masked_fill(lists == targets[:, None], -math.inf)], dim=1)
    loss = (F.cross_entropy(logits, torch.zeros(L, dtype=torch.int64), reduction="none") * weights).sum()
    loss.backward()
    t.update({"loss": loss, "dH": h.grad, "dTable": table.grad, "scores": scores(h, table.expand(L, V, D))})
    for key, x in p.items():
        t[f"parameters.{key}"], t[f"gradients.{key}"] = x, x.grad
    write(
        "mixture.json",
        "Sampled softmax over a mixture of logits, its gradients, and scores [L, V] of all items. Position i has list i // (L / groups).",
        {"D": D, "V": V, "N": N, "groups": groups, "molUser": ku, "molItem": kx, "molWidth": P, "molGate": H, "temperature": temperature},
        t,
    )


def make_cross():
    """torch.nn.MultiheadAttention on each segment of packed queries and keys, with its gradients."""
    GENERATOR.manual_seed(20261122)
    D, H, queries, keys = 16, 2, [4, 1, 6, 3], [7, 5, 2, 1]
    layer = torch.nn.MultiheadAttention(D, H, batch_first=True).double()
    weights = {name: normal(D, width, scale=D**-0.5) for name, width in (("query", D), ("keyvalue", 2 * D), ("out", D))}
    biases = {name: normal(width, scale=0.1) for name, width in (("query", D), ("keyvalue", 2 * D), ("out", D))}
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([weights["query"], weights["keyvalue"]], dim=1).T)
        layer.in_proj_bias.copy_(torch.cat([biases["query"], biases["keyvalue"]]))
        layer.out_proj.weight.copy_(weights["out"].T)
        layer.out_proj.bias.copy_(biases["out"])
    x, states = leaf(normal(sum(queries), D)), leaf(normal(sum(keys), D))
    out = torch.cat([layer(a[None], b[None], b[None], need_weights=False)[0][0] for a, b in zip(x.split(queries), states.split(keys))])
    upstream = normal(*out.shape)
    (out * upstream).sum().backward()
    w, b = layer.in_proj_weight.grad.T, layer.in_proj_bias.grad
    t = {"x": x, "states": states, "out": out, "dOut": upstream, "dX": x.grad, "dStates": states.grad}
    for name in weights:
        t[f"{name}.weight"], t[f"{name}.bias"] = weights[name], biases[name]
    t["query.dWeight"], t["query.dBias"] = w[:, :D], b[:D]
    t["keyvalue.dWeight"], t["keyvalue.dBias"] = w[:, D:], b[D:]
    t["out.dWeight"], t["out.dBias"] = layer.out_proj.weight.grad.T, layer.out_proj.bias.grad
    write(
        "cross.json",
        "Multi-head cross-attention with its projections (torch.nn.MultiheadAttention) over packed segments of config.queries queries and "
        "config.keys keys. The key half of keyvalue.dBias is rounding: a shift of all keys changes no weight.",
        {"D": D, "H": H, "queries": queries, "keys": keys},
        t,
    )


def make_decoder():
    """torch.nn's own pre-layernorm encoder and decoder layers, each sequence by itself, so that packing is proved, too."""
    GENERATOR.manual_seed(20261122)
    D, H, F_, V, T, n = 8, 2, 12, 11, 8, 4
    histories, continuations = [8, 1, 5], [4, 1, 3]
    gelu = lambda x: F.gelu(x, approximate="tanh")
    about = dict(d_model=D, nhead=H, dim_feedforward=F_, dropout=0.0, activation=gelu, layer_norm_eps=EPS, batch_first=True, norm_first=True)
    encoder = [torch.nn.TransformerEncoderLayer(**about).double() for _ in range(1)]
    decoder = [torch.nn.TransformerDecoderLayer(**about).double() for _ in range(2)]
    norms = {name: torch.nn.LayerNorm(D, eps=EPS).double() for name in ("norm", "decoder.norm")}
    tables = {"items": leaf(normal(V, D, scale=0.5)), "positions": leaf(normal(T, D, scale=0.3)), "decoder.positions": leaf(normal(n, D, scale=0.3))}
    for module in [*encoder, *decoder, *norms.values()]:
        for name, x in module.named_parameters():
            shift = 1.0 if "norm" in name and name.endswith("weight") or x.dim() == 1 and name == "weight" else 0.0
            x.data = normal(*x.shape, scale=0.1 if x.dim() == 1 else x.shape[1] ** -0.5, shift=shift)

    def stored(of):
        """Parameters, or what `of` makes of them, by our names: matrices [in, out]."""
        t = {f"{name}.weight": of(x) for name, x in tables.items()}
        for stack, layers in (("blocks", encoder), ("decoder", decoder)):
            for i, layer in enumerate(layers):
                b = f"{stack}.{i}."
                linear = lambda name, weight, bias: t.update({f"{b}{name}.weight": of(weight).T, f"{b}{name}.bias": of(bias)})
                linear("attention.qkv", layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias)
                linear("attention.out", layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias)
                linear("ffn.up", layer.linear1.weight, layer.linear1.bias)
                linear("ffn.down", layer.linear2.weight, layer.linear2.bias)
                for k in (1, 2, 3) if stack == "decoder" else (1, 2):
                    norm = getattr(layer, f"norm{k}")
                    t[f"{b}norm{k}.weight"], t[f"{b}norm{k}.bias"] = of(norm.weight), of(norm.bias)
                if stack == "decoder":
                    weight, bias = of(layer.multihead_attn.in_proj_weight), of(layer.multihead_attn.in_proj_bias)
                    t[b + "cross.query.weight"], t[b + "cross.query.bias"] = weight[:D].T, bias[:D]
                    t[b + "cross.keyvalue.weight"], t[b + "cross.keyvalue.bias"] = weight[D:].T, bias[D:]
                    linear("cross.out", layer.multihead_attn.out_proj.weight, layer.multihead_attn.out_proj.bias)
        for name, norm in norms.items():
            t[f"{name}.weight"], t[f"{name}.bias"] = of(norm.weight), of(norm.bias)
        return t

    t, hidden, loss = {}, [], 0.0
    weights = normal(sum(continuations), scale=0.2).abs()
    at = 0
    for s, (long, short) in enumerate(zip(histories, continuations)):
        items = integers(V, long + short)
        inputs, targets = items[long - 1 : long + short - 1], items[long:]
        t[f"items.{s}"] = items
        x = (tables["items"][items[:long]] + tables["positions"][:long])[None]
        for layer in encoder:
            x = layer(x)
        y = (tables["items"][inputs] + tables["decoder.positions"][:short])[None]
        later = torch.triu(torch.ones(short, short, dtype=torch.bool), 1)
        for layer in decoder:
            y = layer(y, norms["norm"](x), tgt_mask=later)
        hidden.append(norms["decoder.norm"](y)[0])
        loss = loss + catalogue_loss(hidden[-1], tables["items"], targets, weights[at : at + short])
        at += short
    loss.backward()
    t.update({"weights": weights, "hidden": torch.cat(hidden), "loss": loss})
    t.update({f"parameters.{key}": x for key, x in stored(lambda x: x).items()})
    t.update({f"gradients.{key}": x for key, x in stored(lambda x: x.grad).items()})
    write(
        "decoder.json",
        "An encoder block and two decoder blocks (torch.nn.TransformerEncoderLayer and TransformerDecoderLayer, norms first) over histories of "
        "config.histories items and continuations of config.continuations; items.S holds both, the decoder begins with the history's last. "
        "The decoder's states, loss, gradients. " + KEY_BIAS,
        {"D": D, "H": H, "F": F_, "V": V, "T": T, "n": n, "histories": histories, "continuations": continuations},
        t,
    )


def make_ranker():
    """The ranker's logits and gradients, list by list: attribute tokens, both directions, an encoder of its own."""
    GENERATOR.manual_seed(20261123)
    D, H, F_, V, T, A, blocks, N = 8, 2, 12, 9, 6, 7, 2, 3
    lengths, budget = [6, 4], 12
    lists = [(2, 0, [3, 1, 8]), (5, 0, [0, 8, 2]), (8, 6, [4, 5, 1])]  # the position's row, its sequence's first, candidates
    of = [[], [0], [1, 2], [0, 2], [3], [1], [0, 1, 3], [2], [3, 0]]  # distinct attribute tokens of each item
    batch = make_batch(lengths, budget, V, even=True)
    own = parameters(D, F_, V, T, 1)
    p = {"items.weight": normal(V, D, scale=0.5), "biases.weight": normal(V, 1, scale=0.3), "attributes.weight": normal(A, D, scale=0.5)}
    p |= {f"{name}.weight": normal(T, D, scale=0.3) for name in ("positions", "places")}
    norms = ["states.norm", "norm"] + [f"blocks.{i}.{n}" for i in range(blocks) for n in ("states.norm", "states.norm2", "norm1", "norm2")]
    for name in norms:
        p[f"{name}.weight"], p[f"{name}.bias"] = normal(D, scale=0.1, shift=1.0), normal(D, scale=0.1)
    sizes = {"states": (D, D), "sought": (D, D), "output": (D, 1)}
    for i in range(blocks):
        for b in (f"blocks.{i}.states.", f"blocks.{i}."):
            sizes |= {f"{b}query": (D, D), f"{b}keyvalue": (D, 2 * D), f"{b}out": (D, D)}
        sizes |= {f"blocks.{i}.ffn.up": (D, F_), f"blocks.{i}.ffn.down": (F_, D)}
    for name, (rows, cols) in sizes.items():
        p[f"{name}.weight"], p[f"{name}.bias"] = normal(rows, cols, scale=rows**-0.5), normal(cols, scale=0.1)
    bags = (torch.arange(4 * A).reshape(4, A) * 5 % 4).double() / 4
    table, frozen = normal(V, D, scale=0.5), normal(budget, D)
    weights = torch.tensor([[0.5, -0.25, 0.125], [1.0, 0.5, -0.5], [0.25, -1.0, 0.75]], dtype=torch.float64)
    p, own = {key: leaf(x) for key, x in p.items()}, {key: leaf(x) for key, x in own.items()}
    norm = lambda x, name: F.layer_norm(x, (D,), p[name + ".weight"], p[name + ".bias"], EPS)
    linear = lambda x, name: x @ p[name + ".weight"] + p[name + ".bias"]

    def attend(query, keyvalue):
        q, (k, v) = query, keyvalue.split(D, dim=1)
        heads = [F.softmax(a @ b.T / math.sqrt(D // H), dim=1) @ c for a, b, c in zip(q.split(D // H, 1), k.split(D // H, 1), v.split(D // H, 1))]
        return torch.cat(heads, dim=1)

    t = {f"batch.{key}": x for key, x in batch.items()} | {"bags": bags, "table": table, "frozen": frozen, "weights": weights}
    for mutual in (False, True):
        for x in (*p.values(), *own.values()):
            x.grad = None
        h = encode(own, batch, H)
        states = norm(linear(h, "states") + p["items.weight"][batch["items"]] + p["positions.weight"][batch["positions"]], "states.norm")
        logits = []
        for row, first, candidates in lists:
            s = states[max(first, row + 1 - N) : row + 1] if mutual else states[first : row + 1]
            tokens = list(dict.fromkeys(u for c in candidates for u in of[c]))
            x = torch.cat([p["items.weight"][candidates], (bags @ p["attributes.weight"])[tokens]]) + p["places.weight"][row - first]
            for i in range(blocks):
                b = f"blocks.{i}."
                n, read = norm(x, b + "norm1"), s
                if mutual:
                    mixed = attend(linear(norm(s, b + "states.norm"), b + "states.query"), linear(n, b + "states.keyvalue"))
                    s = s + linear(mixed, b + "states.out")
                    read = norm(s, b + "states.norm2")
                x = x + linear(attend(linear(n, b + "query"), linear(read, b + "keyvalue")), b + "out")
                x = x + linear(F.gelu(linear(norm(x, b + "norm2"), b + "ffn.up"), approximate="tanh"), b + "ffn.down")
            mean = [sum((x[3 + tokens.index(u)] for u in of[c]), torch.zeros(D, dtype=torch.float64)) / max(1, len(of[c])) for c in candidates]
            y = x[:3] + torch.stack(mean)
            alone = (linear(norm(y, "norm"), "output") + p["biases.weight"][candidates])[:, 0]
            logits.append(table[candidates] @ frozen[row] + y @ linear(h[row], "sought") + alone)
        out = torch.stack(logits)
        (out * weights).sum().backward()
        name = "mutual" if mutual else "plain"
        t[f"{name}.logits"] = out
        kept = {key: x for key, x in p.items() if x.grad is not None} | {f"encoder.{key}": x for key, x in own.items()}
        t |= {f"{name}.gradients.{key}": x.grad.clone() for key, x in kept.items()}
    t |= {f"parameters.{key}": x for key, x in p.items()} | {f"parameters.encoder.{key}": x for key, x in own.items()}
    config = {"d": D, "heads": H, "ff": F_, "items": V, "window": T, "rows": A, "blocks": blocks, "states": N, "budget": budget, "used": sum(lengths)}
    config |= {"lists": [{"row": r, "start": f, "candidates": c} for r, f, c in lists], "of": of}
    about = "Logits of lists of candidates after positions of packed histories, with attribute tokens and an encoder that is trained, too: every "
    write("ranker.json", about + "gradient; states read alone (plain), and states that read candidates (mutual). " + KEY_BIAS, config, t)


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_ops()
    make_encoder()
    make_adamw()
    make_training()
    make_encoders()
    make_losses()
    make_tower()
    make_mixture()
    make_cross()
    make_decoder()
    make_ranker()
