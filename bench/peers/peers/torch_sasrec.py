"""The `sasrec` recipe's training step in PyTorch, the equations of model/encoders/sequence-model.ts on padded batches.

As commonly written: 128 sequences a batch, each at the left of a row of 200 (sort=False), logits at every place and
`ignore_index` for the padding. With sort=True the sequences are sorted by length first and each batch is padded to its
longest only.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

BATCH = 128
IGNORE = -100


class Sasrec:
    def __init__(self, spec, sort):
        with open(spec["file"]) as file:
            pool = json.load(file)
        self.settings = s = pool["settings"]
        self.check_steps = spec.get("checkSteps", 0)
        self.dropout = 0.0 if self.check_steps else s["dropout"]
        sequences = pool["check"] if self.check_steps else pool["sequences"]
        device = spec.get("device", "cpu")
        self.batches = [tuple(x.to(device) for x in batch) for batch in make_batches(sequences, s["window"], sort)]
        self.w = read_weights(pool["weights"], device)
        matrices = [x for x, decay in self.w.values() if decay]
        others = [x for x, decay in self.w.values() if not decay]
        groups = [
            {"params": matrices, "weight_decay": s["weightDecay"]},
            {"params": others, "weight_decay": 0.0},
        ]
        self.all = matrices + others
        self.adamw = torch.optim.AdamW(groups, lr=s["learningRate"], betas=(0.9, 0.98), eps=1e-8)
        longest = max(items.shape[1] for items, _ in self.batches)
        self.mask = torch.full((longest, longest), float("-inf"), device=device).triu(1)

    def __call__(self):
        """Every sequence once."""
        for batch in self.batches:
            self.train(*batch)

    def outputs(self):
        return {"losses": torch.stack([self.train(*self.batches[0]) for _ in range(self.check_steps)])}

    def train(self, items, targets):
        with torch.enable_grad():
            loss = self.loss(items, targets)
            self.adamw.zero_grad(set_to_none=True)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.all, self.settings["clip"])
        self.adamw.step()
        return loss.detach()

    def loss(self, items, targets):
        logits = self.encode(items) @ self.p("items.weight").T
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)

    def p(self, name):
        return self.w[name][0]

    def encode(self, items):
        s = self.settings
        b, t = items.shape
        heads, d = s["heads"], s["d"]

        def norm(x, name):
            return F.layer_norm(x, (d,), self.p(f"{name}.weight"), self.p(f"{name}.bias"), 1e-5)

        def linear(x, name):
            return F.linear(x, self.p(f"{name}.weight").T, self.p(f"{name}.bias"))

        def drop(x):
            return F.dropout(x, self.dropout, training=self.dropout > 0)

        def attend(n, name):
            qkv = linear(n, f"{name}.qkv").view(b, t, 3, heads, d // heads)
            q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))
            if hasattr(F, "scaled_dot_product_attention"):
                a = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout, is_causal=True)
            else:
                scores = (q * (d // heads) ** -0.5) @ k.transpose(-1, -2) + self.mask[:t, :t]
                a = drop(torch.softmax(scores, -1)) @ v
            return linear(a.transpose(1, 2).reshape(b, t, d), f"{name}.out")

        def feed_forward(n, name):
            return linear(gelu(linear(n, f"{name}.up")), f"{name}.down")

        x = drop(F.embedding(items, self.p("items.weight")) + self.p("positions.weight")[:t])
        for i in range(s["blocks"]):
            x = x + drop(attend(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attention"))
            x = x + drop(feed_forward(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.ffn"))
        return norm(x, "norm")


def gelu(x):
    return F.gelu(x, approximate="tanh")


def make_batches(sequences, window, sort):
    """Pairs of items and targets [B, T]; sequences hold one event more than positions."""
    if sort:
        sequences = sorted(sequences, key=len)
    batches = []
    for at in range(0, len(sequences), BATCH):
        part = sequences[at : at + BATCH]
        t = max(len(x) for x in part) - 1 if sort else window
        items = np.zeros((len(part), t), dtype=np.int64)
        targets = np.full((len(part), t), IGNORE, dtype=np.int64)
        for row, x in enumerate(part):
            items[row, : len(x) - 1] = x[:-1]
            targets[row, : len(x) - 1] = x[1:]
        batches.append((torch.from_numpy(items), torch.from_numpy(targets)))
    return batches


def read_weights(weights, device):
    """name → (parameter, whether it decays), from one file of f32 numbers."""
    data = np.fromfile(weights["file"], dtype=np.float32)
    result = {}
    at = 0
    for one in weights["parameters"]:
        size = int(np.prod(one["shape"]))
        values = torch.from_numpy(data[at : at + size].reshape(one["shape"]).copy()).to(device)
        result[one["name"]] = (torch.nn.Parameter(values), one["decay"])
        at += size
    return result
