"""PyTorch's training step on a pool of sequences: `python3 torch_step.py POOL TOKENS SECONDS` prints JSON lines."""

import json
import os
import sys
import time


def emit(value):
    print(json.dumps(value), flush=True)


try:
    import torch
except ImportError as error:
    emit({"pytorch": f"not run: {error}"})
    sys.exit(0)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../peers/peers"))
from torch_sasrec import Sasrec  # noqa: E402

file, tokens, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
device = "cuda" if torch.cuda.is_available() else "cpu"
name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
emit({"pytorch": f"{torch.__version__} on {device} ({name})"})


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def measure(sort, compiled):
    peer = Sasrec({"file": file, "device": device}, sort)
    if compiled:
        peer.loss = torch.compile(peer.loss)
    started = time.time()
    peer()
    if compiled:
        peer()  # lengths that vary are compiled anew
    wait()
    first = time.time() - started
    started = time.time()
    runs = 0
    while runs == 0 or time.time() - started < seconds:
        peer()
        wait()
        runs += 1
    return {"tokensPerSecond": runs * tokens / (time.time() - started), "warmUpSeconds": first}


for sort, compiled in [(False, False), (True, False), (False, True), (True, True)]:
    peer = f"pytorch {'compiled' if compiled else 'eager'}, {'length-sorted' if sort else 'padded'}"
    try:
        if compiled and not hasattr(torch, "compile"):
            raise RuntimeError(f"torch {torch.__version__} has no compile")
        emit({"row": {"peer": peer, **measure(sort, compiled)}})
    except Exception as error:  # one way to run it that fails does not stop the others
        emit({"row": {"peer": peer, "error": str(error)[:500]}})
