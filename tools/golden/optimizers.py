#!/usr/bin/env python3
"""Makes tests/golden/optimizers/*.json with PyTorch's own optimizers and schedules.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python tools/golden/optimizers.py

The optimizers run as plain Python loops (foreach=False, fused=False): an implementation
other than the fused kernels that qhost calls. Numbers are hexadecimal floats, exact in both directions; random
numbers come from NumPy's PCG64, so that a second run writes the same bytes.

steps of *.json: a gradient of null means that the parameter has no gradient in that step. Parameter groups
differ in learning rate and weight decay; one has no weight decay.
"""
import json
import pathlib
import textwrap

import numpy
import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "optimizers"
RATES = [0.1, 0.1, 0.05, 0.2, 0.01]
# name, shape, learning-rate multiplier, weight decay
PARAMETERS = [
    ("conv.weight", (3, 2, 2, 2), 1.0, 0.05),
    ("scaled.weight", (2, 5), 2.5, 0.05),
    ("norm.weight", (7,), 1.0, 0.0),
    ("late.bias", (3,), 1.0, 0.0),
]
WITHOUT_GRADIENT = {("late.bias", 0), ("late.bias", 1), ("norm.weight", 3)}


def hexes(tensor):
    return [float(x).hex() for x in tensor.detach().reshape(-1).tolist()]


def optimizer_case(name, make, options, state_names):
    random = numpy.random.Generator(numpy.random.PCG64(7))

    def draw(shape):
        return torch.tensor(random.standard_normal(shape), dtype=torch.float32)

    tensors = {p[0]: draw(p[1]).requires_grad_() for p in PARAMETERS}
    groups = [{"params": [tensors[p[0]]], "weight_decay": p[3], "lr": 1.0} for p in PARAMETERS]
    optimizer = make(groups)
    case = {
        "made_by": "PyTorch-" + torch.__version__.split("+")[0],
        "optimizer": name,
        "options": options,
        "parameters": [
            {"name": p[0], "shape": p[1], "learning_rate_multiplier": p[2], "weight_decay": p[3],
             "start": hexes(tensors[p[0]])}
            for p in PARAMETERS
        ],
        "steps": [],
    }
    for index, rate in enumerate(RATES):
        step = {"learning_rate": rate, "gradients": {}, "values": {}, "state": {}}
        for group, p in zip(optimizer.param_groups, PARAMETERS):
            group["lr"] = rate * p[2]
            gradient = draw(p[1])
            tensors[p[0]].grad = None if (p[0], index) in WITHOUT_GRADIENT else gradient
            step["gradients"][p[0]] = (
                None if tensors[p[0]].grad is None else hexes(tensors[p[0]].grad))
        optimizer.step()
        for p in PARAMETERS:
            step["values"][p[0]] = hexes(tensors[p[0]])
            for theirs, ours in state_names.items():
                value = optimizer.state.get(tensors[p[0]], {}).get(theirs)
                if value is not None:
                    step["state"][p[0] + "/" + ours] = hexes(value)
        case["steps"].append(step)
    return case


def optimizer_cases():
    plain = {"foreach": False, "fused": False}
    for name, momentum, nesterov in [("sgd_plain", 0.0, False), ("sgd_momentum", 0.9, False),
                                     ("sgd_nesterov", 0.9, True)]:
        yield name, optimizer_case(
            "sgd",
            lambda groups, m=momentum, n=nesterov: torch.optim.SGD(
                groups, momentum=m, nesterov=n, **plain),
            {"momentum": momentum, "nesterov": nesterov}, {"momentum_buffer": "momentum"})
    for name, kind in [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]:
        yield name, optimizer_case(
            name,
            lambda groups, k=kind: k(groups, betas=(0.8, 0.95), eps=1e-3, **plain),
            {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
            {"exp_avg": "first_moment", "exp_avg_sq": "second_moment", "step": "step"})


def rates(make, steps, base):
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=base)
    schedule = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(float(optimizer.param_groups[0]["lr"]).hex())
        optimizer.step()
        schedule.step()
    return out


def schedule_cases():
    """`rates` holds one number per step, or with "every": "epoch" one per epoch."""
    kinds = torch.optim.lr_scheduler
    yield {"schedule": "constant", "options": {}, "base": 0.1, "epochs": 2, "steps_per_epoch": 3,
           "every": "step", "rates": rates(lambda o: kinds.ConstantLR(o, 1.0), 6, 0.1)}
    yield {"schedule": "step", "options": {"every": 3, "factor": 0.2}, "base": 0.1, "epochs": 10,
           "steps_per_epoch": 7, "every": "epoch",
           "rates": rates(lambda o: kinds.StepLR(o, 3, 0.2), 10, 0.1)}
    yield {"schedule": "multi_step", "options": {"milestones": [2, 5, 6], "factor": 0.1},
           "base": 0.1, "epochs": 9, "steps_per_epoch": 4, "every": "epoch",
           "rates": rates(lambda o: kinds.MultiStepLR(o, [2, 5, 6], 0.1), 9, 0.1)}
    yield {"schedule": "cosine", "options": {"final": 0.001, "per": "epoch"}, "base": 0.1,
           "epochs": 12, "steps_per_epoch": 5, "every": "epoch",
           "rates": rates(lambda o: kinds.CosineAnnealingLR(o, 12, 0.001), 12, 0.1)}
    yield {"schedule": "cosine", "options": {"final": 0.0, "per": "step"}, "base": 0.4,
           "epochs": 4, "steps_per_epoch": 5, "every": "step",
           "rates": rates(lambda o: kinds.CosineAnnealingLR(o, 20, 0.0), 20, 0.4)}
    yield {"schedule": "exponential", "options": {"final": 2e-6, "per": "epoch"}, "base": 3e-3,
           "epochs": 20, "steps_per_epoch": 3, "every": "epoch",
           "rates": rates(lambda o: kinds.ExponentialLR(o, (2e-6 / 3e-3) ** (1 / 20)), 20, 3e-3)}
    for epochs, fraction in [(5, 0.3), (3, 0.5)]:
        yield {"schedule": "one_cycle",
               "options": {"peak_fraction": fraction, "start_divisor": 20.0, "final_divisor": 1e3},
               "base": 0.2, "epochs": epochs, "steps_per_epoch": 8, "every": "step",
               "rates": rates(lambda o, e=epochs, f=fraction: kinds.OneCycleLR(
                   o, max_lr=0.2, total_steps=e * 8, pct_start=f, div_factor=20.0,
                   final_div_factor=1e3, cycle_momentum=False), epochs * 8, 0.2)}
    # Warm-up, then a cosine over the remaining steps.
    yield {"schedule": "cosine",
           "options": {"final": 0.0, "per": "step", "warmup_epochs": 1.0, "warmup_start": 0.1},
           "base": 0.1, "epochs": 4, "steps_per_epoch": 6, "every": "step",
           "rates": rates(lambda o: kinds.SequentialLR(
               o, [kinds.LinearLR(o, 0.1, 1.0, 6), kinds.CosineAnnealingLR(o, 18, 0.0)], [6]),
               24, 0.1)}


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    # Wrapped between two values: no string in these files contains a blank.
    text = textwrap.fill(json.dumps(value), 100, break_long_words=False, break_on_hyphens=False)
    (OUT / (name + ".json")).write_text(text + "\n")


def main():
    torch.set_num_threads(1)
    for name, case in optimizer_cases():
        write(name, case)
    write("schedules", list(schedule_cases()))


if __name__ == "__main__":
    main()
