#!/usr/bin/env python3
"""Writes tests/golden/binary_methods/steps.json: two optimizer steps under BinaryConnect and BWN.

An independent implementation from the papers (arXiv 1511.00363 and 1603.05279), in the way of the
authors' and the course's code: save the real weights, overwrite them with the binary ones, forward,
backward, restore, step, clip. It uses no custom autograd function; the optimizers are torch.optim's.

The stochastic draws are Philox 4x32-10 (Salmon et al., SC'11) under the key of the run, so that the
file also fixes the random numbers of a seed.

Floats are stored as hexadecimal texts, which keep every bit.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python tools/golden/binary_methods.py
"""

import itertools
import json
import math
import pathlib

import torch
import torch.nn.functional as F

MASK64 = (1 << 64) - 1
SEED = 11
BATCH, CHANNELS, SIZE, FILTERS, CLASSES = 6, 2, 5, 4, 3
STEPS = 2
ADAM_EPSILON = 0.01


class DecidedByRounding(Exception):
    """The start is refused and drawn again: two correct implementations could differ on it."""


def require(condition):
    if not condition:
        raise DecidedByRounding


# --- random numbers -----------------------------------------------------------------------------

def philox(counter, key):
    """Philox 4x32-10 of a 64-bit counter and a 64-bit key: four 32-bit words."""
    c = [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def split_mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK64
    return x ^ (x >> 31)


def text_hash(text):
    h = 0xCBF29CE484222325  # FNV-1a
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK64
    return split_mix(h ^ (len(text) << 56))


def key_of(seed, name, purpose, first, second):
    key = split_mix(seed)
    for part in (text_hash(name), text_hash(purpose), first, second):
        key = split_mix(key ^ part)
    return key


def uniform(key, count):
    words = [w for block in range((count + 3) // 4) for w in philox(block, key)]
    return torch.tensor([(w >> 8) / (1 << 24) for w in words[:count]], dtype=torch.float32)


# --- the methods --------------------------------------------------------------------------------

def sign(w):
    return torch.where(w >= 0, torch.ones_like(w), -torch.ones_like(w))


def alpha_of(w):
    """Mean |W| of each filter; summed exactly, rounded once."""
    rows = w.abs().reshape(w.shape[0], -1).tolist()
    means = torch.tensor([math.fsum(r) / len(r) for r in rows], dtype=torch.float32)
    return means.reshape(-1, *[1] * (w.dim() - 1))


def fans(w):
    window = w[0, 0].numel()
    return w.shape[1] * window, w.shape[0] * window


def multiplier(case, w):
    c = math.sqrt(1.5 / sum(fans(w)))
    return {"none": 1.0, "glorot": 1 / c, "glorot_squared": 1 / c**2}[case.get("lr_scale", "none")]


def training_weight(case, name, w, step):
    if case["method"] == "bwn":
        return alpha_of(w) * sign(w)
    if case["mode"] == "deterministic":
        return sign(w)
    u = uniform(key_of(SEED, f"{name}/weight/0", "sign", 0, step), w.numel()).reshape(w.shape)
    p = ((w + 1) / 2).clamp(0, 1)
    require((u - p).abs().min() > 1e-5)
    return torch.where(u < p, torch.ones_like(w), -torch.ones_like(w))


def test_weight(case, w):
    if case["method"] == "bwn":
        return alpha_of(w) * sign(w)
    return sign(w) if case["mode"] == "deterministic" else w


def latent_gradient(case, w, g):
    """g is the gradient of the weights that the forward pass used."""
    gradient = case.get("gradient", "algorithm1")
    if case["method"] == "binaryconnect" or gradient == "algorithm1":
        return g
    alpha, n = alpha_of(w), w[0].numel()
    inside = (w.abs() <= 1).float()
    if gradient == "text":
        return g * (1 / n + alpha * inside)
    dims = tuple(range(1, w.dim()))
    through_alpha = (g.double() * sign(w).double()).sum(dims, keepdim=True) / n
    return (sign(w).double() * through_alpha + g.double() * (alpha * inside).double()).float()


# --- one small network --------------------------------------------------------------------------

def initial_state(generator):
    def draw(*shape, scale):
        return (torch.rand(*shape, generator=generator) * 2 - 1) * scale

    conv = draw(FILTERS, CHANNELS, 3, 3, scale=0.7)
    linear = draw(CLASSES, FILTERS, scale=0.7)
    # The values at the thresholds of sign, mask and clip.
    for at, value in enumerate([0.0, -0.0, 1.0, -1.0, 1.25, -1.25, 1.0000001, -0.99999994]):
        conv.view(-1)[3 + 8 * at] = value
    linear.view(-1)[5] = 0.0
    return {
        "conv.weight": conv,
        "norm.weight": 1 + draw(FILTERS, scale=0.2),
        "norm.bias": draw(FILTERS, scale=0.2),
        "norm.running_mean": torch.zeros(FILTERS),
        "norm.running_var": torch.ones(FILTERS),
        "classify.weight": linear,
        "classify.bias": draw(CLASSES, scale=0.1),
    }


def logits_of(state, x, training):
    y = F.conv2d(x, state["conv.weight"], padding=1)
    y = F.batch_norm(y, state["norm.running_mean"], state["norm.running_var"],
                     state["norm.weight"], state["norm.bias"], training, 0.1, 1e-5)
    return F.linear(F.relu(y).mean((2, 3)), state["classify.weight"], state["classify.bias"])


def squared_hinge(y, labels):
    """BinaryConnect's loss. (Under cross-entropy the gradients of the classes sum to 0: a channel
    whose binary weights are equal for all of them would get a gradient that is only rounding error.)"""
    targets = F.one_hot(labels, CLASSES) * 2 - 1
    return ((1 - targets * y).clamp_min(0) ** 2).mean()


QUANTIZED = ("conv.weight", "classify.weight")
TRAINED = QUANTIZED + ("norm.weight", "norm.bias", "classify.bias")


def optimizer_of(case, state):
    groups = []
    for name in TRAINED:
        w = state[name]
        rate = case["learning_rate"] * (multiplier(case, w) if name in QUANTIZED else 1.0)
        groups.append({"params": [w], "lr": rate,
                       "weight_decay": case["weight_decay"] if name in QUANTIZED else 0.0})
    if case["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True, foreach=False)
    # Adam divides a gradient by its size: with a small epsilon, a gradient near 0 is rounding
    # error.
    return torch.optim.Adam(groups, lr=0.0, betas=(0.9, 0.999), eps=ADAM_EPSILON, foreach=False)


def train(case, initial, x, labels):
    state = {name: t.clone() for name, t in initial.items()}
    for name in TRAINED:
        state[name].requires_grad_()
    optimizer = optimizer_of(case, state)
    snapshots, losses = [], []
    for step in range(STEPS):
        saved = {name: state[name].detach().clone() for name in QUANTIZED}
        with torch.no_grad():
            for name in QUANTIZED:
                node = name.removesuffix(".weight")
                state[name].copy_(training_weight(case, node, saved[name], step))
        optimizer.zero_grad()
        loss = squared_hinge(logits_of(state, x, True), labels)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for name in QUANTIZED:
                state[name].copy_(saved[name])
                state[name].grad = latent_gradient(case, saved[name], state[name].grad)
        optimizer.step()
        with torch.no_grad():
            for name in QUANTIZED:
                if case["method"] == "binaryconnect":
                    state[name].clamp_(-1, 1)
                require(state[name].abs().min() > 1e-5)  # the sign in the next step
        snapshots.append({name: hexadecimal(t) for name, t in state.items()})
    with torch.no_grad():
        for name in QUANTIZED:
            state[name].copy_(test_weight(case, state[name].clone()))
        logits = logits_of(state, x, False)
    return {**case, "losses": [v.hex() for v in losses], "after": snapshots,
            "logits": hexadecimal(logits)}


def hexadecimal(tensor):
    return [v.hex() for v in tensor.detach().reshape(-1).tolist()]


def cases():
    sgd = {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4}
    adam = {"optimizer": "adam", "learning_rate": 0.002, "weight_decay": 1e-3}
    for optimizer in (sgd, adam):
        for mode in ("deterministic", "stochastic"):
            yield {"method": "binaryconnect", "mode": mode, "lr_scale": "none", **optimizer}
        for gradient in ("algorithm1", "text", "exact"):
            yield {"method": "bwn", "gradient": gradient, **optimizer}
    for scale in ("glorot", "glorot_squared"):
        for optimizer in (sgd, adam):
            yield {"method": "binaryconnect", "mode": "deterministic", "lr_scale": scale,
                   **optimizer}


def main():
    assert philox(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # published vector
    torch.set_num_threads(1)
    for start in itertools.count():
        generator = torch.Generator().manual_seed(start)
        initial = initial_state(generator)
        x = torch.randn(BATCH, CHANNELS, SIZE, SIZE, generator=generator)
        labels = torch.arange(BATCH) % CLASSES
        try:
            results = [train(case, initial, x, labels) for case in cases()]
            break
        except DecidedByRounding:
            continue
    document = {
        "made_by": f"tools/golden/binary_methods.py, PyTorch {torch.__version__.split('+')[0]}",
        "seed": SEED,
        "input_shape": list(x.shape),
        "filters": FILTERS,
        "adam_epsilon": ADAM_EPSILON,
        "input": hexadecimal(x),
        "labels": labels.tolist(),
        "initial": {name: hexadecimal(t) for name, t in initial.items()},
        "cases": results,
    }
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "binary_methods"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "steps.json").write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    main()
