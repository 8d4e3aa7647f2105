"""PyTorch on the CPU, two threads: `python3 torch_peer.py PEER` answers the requests of ../worker.mjs.

PEER is torch (single kernels), torch-padded or torch-sorted (the SASRec step).
"""

import json
import math
import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
import torch.nn.functional as F

from torch_sasrec import Sasrec

torch.set_num_threads(2)


def answer(value):
    print("@" + json.dumps(value), flush=True)


def hashed(n, seed):
    """lowbias32, as hash() in data.mjs."""
    offset = (seed * 0x9E3779B9) & 0xFFFFFFFF
    x = (np.arange(n, dtype=np.uint64) + np.uint64(offset)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def make_input(spec):
    n = math.prod(spec["shape"])
    x = hashed(n, spec["seed"])
    if spec.get("below"):
        return torch.from_numpy((x % np.uint32(spec["below"])).astype(np.int64).reshape(spec["shape"]))
    values = ((x >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5) * spec.get("scale", 1) + spec.get("offset", 0)
    return torch.from_numpy(values.astype(np.float32).reshape(spec["shape"]))


# ---- cases: each gives a step, and what its results are called -------------------------------------


def matmul(spec, x):
    a, b = x["a"], x["b"]
    return lambda: {"c": a @ (b.T if spec["transB"] else b)}


def softmax(spec, x):
    return lambda: {"y": torch.softmax(x["x"], -1)}


def layernorm(spec, x):
    return lambda: {"y": F.layer_norm(x["x"], (spec["cols"],), x["w"], x["b"], spec["eps"])}


def attend(t, k):
    if hasattr(F, "scaled_dot_product_attention"):
        return lambda q, keys, v: F.scaled_dot_product_attention(q, keys, v, is_causal=True)
    mask = torch.full((t, t), float("-inf")).triu(1)
    return lambda q, keys, v: torch.softmax((q / math.sqrt(k)) @ keys.transpose(-1, -2) + mask, -1) @ v


def attention(spec, x):
    forward = attend(spec["t"], spec["k"])
    return lambda: {"o": forward(x["q"], x["k"], x["v"])}


def attention_backward(spec, x):
    forward = attend(spec["t"], spec["k"])
    parts = [x[name].requires_grad_() for name in "qkv"]

    def step():
        with torch.enable_grad():
            dq, dk, dv = torch.autograd.grad(forward(*parts), parts, x["g"])
        return {"dq": dq, "dk": dk, "dv": dv}

    return step


def cross_entropy(spec, x):
    parts = [x["x"].requires_grad_(), x["table"].requires_grad_()]

    def step():
        with torch.enable_grad():
            loss = F.cross_entropy(parts[0] @ parts[1].T, x["targets"])
            dx, dtable = torch.autograd.grad(loss, parts)
        return {"loss": loss.detach(), "dx": dx, "dtable": dtable}

    return step


def train(spec, x):
    w = [torch.nn.Parameter(x[name].clone()) for name in ("w1", "b1", "w2", "b2")]
    adam = torch.optim.Adam(w, lr=spec["learningRate"])

    def step():
        with torch.enable_grad():
            hidden = torch.relu(torch.addmm(w[1], x["x"], w[0]))
            loss = F.mse_loss(torch.addmm(w[3], hidden, w[2]), x["y"])
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
        return {"losses": loss.detach().reshape(1)}

    def losses():
        return {"losses": torch.cat([step()["losses"] for _ in range(spec.get("checkSteps", 1))])}

    step.outputs = losses
    return step


CASES = {
    "matmul": matmul,
    "softmax": softmax,
    "layernorm": layernorm,
    "attention": attention,
    "attention-bwd": attention_backward,
    "cross-entropy": cross_entropy,
    "train": train,
}


class Peer:
    def __init__(self, name):
        self.name = name
        self.step = None

    def make(self, request):
        spec = request["spec"]
        if (spec["kind"] == "sasrec") == (self.name == "torch") or spec["kind"] not in (*CASES, "sasrec"):
            return {"absent": f"{self.name} has no such case"}
        inputs = {name: make_input(one) for name, one in spec["inputs"].items()}
        if spec["kind"] == "sasrec":
            self.step = Sasrec(spec, sort=self.name == "torch-sorted")
        else:
            self.step = CASES[spec["kind"]](spec, inputs)
        return {}

    def outputs(self, request):
        results = getattr(self.step, "outputs", self.step)()
        at = request["indices"]
        return {"values": {name: results[name].reshape(-1)[i].tolist() for name, i in at.items()}}

    def time(self, request):
        begun = time.perf_counter()
        for _ in range(request["repeat"]):
            self.step()
        return {"ms": (time.perf_counter() - begun) * 1000 / request["repeat"]}

    def drop(self, _):
        self.step = None
        return {}


def main():
    peer = Peer(sys.argv[1])
    answer({"device": f"PyTorch {torch.__version__}, cpu, {torch.get_num_threads()} threads"})
    torch.set_grad_enabled(False)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer(getattr(peer, request["op"])(request))
        except Exception as error:  # what one case cannot do must not end the others
            answer({"absent": f"{type(error).__name__}: {error}".split("\n")[0][:300]})


if __name__ == "__main__":
    main()
