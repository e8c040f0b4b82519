#!/usr/bin/env python3
"""Writes tests/golden/xnornet/steps.json: two optimizer steps of a small network under XNOR-Net.

An independent implementation from the paper (arXiv 1603.05279) and, for gradient = "authors_code",
from the program published with it: save the real weights, overwrite them with the binary
ones, forward, backward, restore, step, center and clip. The sign of an input and its estimator are
a sum of terms that autograd can differentiate; K is a convolution with a filter of equal entries.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python tools/golden/xnornet.py
"""

import itertools
import json
import pathlib

import torch
import torch.nn.functional as F

from binary_methods import (DecidedByRounding, alpha_of, hexadecimal, latent_gradient, require,
                            sign, squared_hinge)

BATCH, CHANNELS, SIZE, WIDTH, FILTERS, CLASSES = 5, 2, 7, 4, 6, 3
STEPS = 2
QUANTIZED = ("conv.weight", "classify.weight")
TRAINED = ("stem.weight", "norm0.weight", "norm0.bias", "norm1.weight", "norm1.bias",
           "classify.bias") + QUANTIZED
DECAYED = ("stem.weight",) + QUANTIZED


def centered(w):
    return (w - w.mean(1, keepdim=True)).clamp(-1, 1)


def initial_state(generator):
    def draw(*shape, scale):
        return (torch.rand(*shape, generator=generator) * 2 - 1) * scale

    state = {"stem.weight": draw(WIDTH, CHANNELS, 3, 3, scale=0.6)}
    for norm, width in (("norm0", WIDTH), ("norm1", FILTERS)):
        state[norm + ".weight"] = 1 + draw(width, scale=0.3)
        state[norm + ".bias"] = draw(width, scale=0.3)
        state[norm + ".running_mean"] = torch.zeros(width)
        state[norm + ".running_var"] = torch.ones(width)
    # Some values end at -1 and +1, where the masks of `text` and `authors_code` differ.
    state["conv.weight"] = centered(draw(FILTERS, WIDTH, 3, 3, scale=1.2))
    state["classify.weight"] = centered(draw(CLASSES, FILTERS, scale=1.2))
    state["classify.bias"] = draw(CLASSES, scale=0.1)
    return state


def binary_input(x):
    """sign(x) with the gradient of x where |x| <= 1."""
    with torch.no_grad():
        require(x.abs().min() > 1e-5 and (x.abs() - 1).abs().min() > 1e-5)
    passed = torch.where(x.abs() <= 1, x, torch.zeros_like(x))
    return sign(x).detach() + (passed - passed.detach())


def position_scale(case, x, kernel, stride, padding):
    if case["input_scale"] == "none":
        return 1.0
    if case["k_gradient"] == "detached":
        x = x.detach()
    if x.dim() == 2:
        return x.abs().sum(1, keepdim=True) / x.shape[1]
    a = x.abs().sum(1, keepdim=True) / x.shape[1]
    filters = torch.full((1, 1, kernel, kernel), 1 / kernel**2)
    return F.conv2d(a, filters, stride=stride, padding=padding)


def norm(state, name, x, training):
    return F.batch_norm(x, state[name + ".running_mean"], state[name + ".running_var"],
                        state[name + ".weight"], state[name + ".bias"], training, 0.1, 1e-5)


def logits_of(case, state, x, training):
    y = norm(state, "norm0", F.conv2d(x, state["stem.weight"], padding=1), training)
    scale = position_scale(case, y, 3, 2, 1)
    y = F.conv2d(binary_input(y), state["conv.weight"], stride=2, padding=1) * scale
    y = norm(state, "norm1", y, training).mean((2, 3))
    scale = position_scale(case, y, None, None, None)
    return F.linear(binary_input(y), state["classify.weight"]) * scale + state["classify.bias"]


def gradient_of(case, w, g):
    if case["gradient"] != "authors_code":
        return latent_gradient({"method": "bwn", **case}, w, g)
    n = w[0].numel()
    return g * (alpha_of(w) * (w.abs() < 1) + 1 / n) * ((1 - 1 / w.shape[1]) * n)


def train(case, initial, x, labels):
    state = {name: t.clone() for name, t in initial.items()}
    for name in TRAINED:
        state[name].requires_grad_()
    groups = [{"params": [state[name]],
               "weight_decay": case["weight_decay"] if name in DECAYED else 0.0}
              for name in TRAINED]
    optimizer = torch.optim.SGD(groups, lr=case["learning_rate"], momentum=0.9, nesterov=True,
                                foreach=False)
    snapshots, losses = [], []
    for _ in range(STEPS):
        saved = {name: state[name].detach().clone() for name in QUANTIZED}
        with torch.no_grad():
            for name in QUANTIZED:
                state[name].copy_(alpha_of(saved[name]) * sign(saved[name]))
        optimizer.zero_grad()
        loss = squared_hinge(logits_of(case, state, x, True), labels)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for name in QUANTIZED:
                state[name].copy_(saved[name])
                state[name].grad = gradient_of(case, saved[name], state[name].grad)
        optimizer.step()
        with torch.no_grad():
            for name in QUANTIZED:
                if case["gradient"] == "authors_code":
                    state[name].copy_(centered(state[name]))
                w = state[name].abs()
                # The sign and the masks in the next step.
                require(w.min() > 1e-5)
                require(((w == 1) | ((w - 1).abs() > 1e-5)).all())
        snapshots.append({name: hexadecimal(t) for name, t in state.items()})
    with torch.no_grad():
        for name in QUANTIZED:
            state[name].copy_(alpha_of(state[name]) * sign(state[name]))
        logits = logits_of(case, state, x, False)
    return {**case, "losses": [v.hex() for v in losses], "after": snapshots,
            "logits": hexadecimal(logits)}


def cases():
    sgd = {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 5e-4}
    for gradient in ("algorithm1", "text", "exact", "authors_code"):
        yield {"gradient": gradient, "input_scale": "none", "k_gradient": "detached", **sgd}
    for k_gradient in ("detached", "exact"):
        yield {"gradient": "algorithm1", "input_scale": "paper", "k_gradient": k_gradient, **sgd}


def main():
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
        "made_by": f"tools/golden/xnornet.py, PyTorch {torch.__version__.split('+')[0]}",
        "seed": 11,
        "input_shape": list(x.shape),
        "width": WIDTH,
        "filters": FILTERS,
        "input": hexadecimal(x),
        "labels": labels.tolist(),
        "initial": {name: hexadecimal(t) for name, t in initial.items()},
        "cases": results,
    }
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "xnornet"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "steps.json").write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    main()
