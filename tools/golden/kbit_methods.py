#!/usr/bin/env python3
"""Writes tests/golden/kbit_methods/METHOD.json: values and gradients of the quantizers ternary, lsq,
dorefa, bnn and uniform.

Independent implementations from the papers: exact sums in Python, autograd if the paper uses the
derivative of its formula (dorefa), PyTorch's fake_quantize (uniform), and the cases of the paper
(lsq, whose sub-gradients at the bounds differ from those of autograd).

Each case has the options, an input, the gradient of the output, and the expected results: `value`
and `gradient`. Floats are stored as hexadecimal texts, which keep every bit.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python tools/golden/kbit_methods.py
"""

import json
import math
import pathlib

import torch

from binary_methods import key_of, uniform as keyed_uniform

SEED = 5
CONV, LINEAR = [3, 2, 3, 3], [4, 7]


def f32(numbers):
    return torch.tensor(numbers, dtype=torch.float32)


def drawn(generator, shape, bound, special=()):
    """Uniform in [-bound, bound], including the thresholds of the method."""
    t = (torch.rand(shape, generator=generator) * 2 - 1) * bound
    for i, value in enumerate(special):
        t.view(-1)[1 + 3 * i] = value
    return t


def upstream(generator, shape):
    return torch.randint(-64, 65, shape, generator=generator) / 32.0


def hexadecimal(tensor):
    return [float(v).hex() for v in tensor.detach().reshape(-1).tolist()]


def case(options, x, g, value, gradient, **more):
    more = {k: hexadecimal(v) if torch.is_tensor(v) else v for k, v in more.items()}
    return {"options": options, "shape": list(x.shape), "input": hexadecimal(x),
            "upstream": hexadecimal(g), "value": hexadecimal(value),
            "gradient": hexadecimal(gradient), **more}


def require_clear(t, margin=1e-4, exact_step=False):
    """No rounding of t may depend on its last bits; with a power of two as the step, none does."""
    distance = (t.double() - torch.floor(t.double()) - 0.5).abs()
    assert exact_step or distance.min() > margin, "another seed is needed"


# --- ternary --------------------------------------------------------------------------------------

def ternary_group(row, factor):
    size = [abs(v) for v in row]
    threshold = f32(factor * math.fsum(size) / len(size)).item()
    kept = [v for v in size if v > threshold]
    alpha = f32(math.fsum(kept) / len(kept)).item() if kept else 0.0
    return [alpha if v > threshold else -alpha if v < -threshold else 0.0 for v in row]


def ternary_cases(generator):
    for factor, scale_per in ((0.7, "layer"), (0.7, "filter"), (0.25, "filter"), (1.5, "layer")):
        for shape in (CONV, LINEAR):
            w = drawn(generator, shape, 0.8, (0.0, -0.0))
            w[1] *= 3  # the thresholds of layer and filter differ
            w[2] = 0
            g = upstream(generator, shape)
            rows = w.reshape(shape[0] if scale_per == "filter" else 1, -1)
            value = f32([ternary_group(r, factor) for r in rows.tolist()]).reshape(shape)
            yield case({"factor": factor, "scale_per": scale_per}, w, g, value, g)


# --- lsq ------------------------------------------------------------------------------------------

def lsq(v, s, g, qn, qp, n):
    """Value, gradient of v, gradient of s; s a Python float of float32."""
    value, by_v, by_s = [], [], []
    for x, upstream_of_x in zip(v.reshape(-1).tolist(), g.reshape(-1).tolist()):
        ratio = f32(x / s).item()
        value.append(f32(min(max(round(ratio), -qn), qp) * s).item())
        inside = -qn < ratio < qp
        by_v.append(upstream_of_x if inside else 0.0)
        slope = round(ratio) - ratio if inside else -qn if ratio <= -qn else qp
        by_s.append(upstream_of_x * slope)
    shape = v.shape
    return (f32(value).reshape(shape), f32(by_v).reshape(shape),
            f32(math.fsum(by_s) / math.sqrt(n * qp)))


def lsq_by_autograd(v, s, g, qn, qp, n):
    """The pseudo-code of the paper's appendix, in double: right away from the bounds."""
    v, s = v.double().requires_grad_(), torch.tensor(s, dtype=torch.float64, requires_grad=True)
    factor = 1 / math.sqrt(n * qp)
    scaled = (s - s * factor).detach() + s * factor
    clipped = (v / scaled).clamp(-qn, qp)
    rounded = (clipped.round() - clipped).detach() + clipped
    (rounded * scaled * g).sum().backward()
    return v.grad, s.grad


def lsq_case(generator, role, bits, signed, shape, step):
    half = 2 ** (bits - 1)
    qn, qp = (half, half - 1) if signed else (0, 2 ** bits - 1)
    # On the bounds, on ties and outside, exactly if the step is a power of two.
    at_bounds = step == 0.25
    special = [-qn * step, qp * step, 0.5 * step, 1.5 * step, (qp + 3) * step, -0.0] if at_bounds \
        else []
    x = drawn(generator, shape, 1.3 * max(qn, qp) * step, special)
    g = upstream(generator, shape)
    if not at_bounds:
        require_clear(x / step)
    n = x.numel() if role == "weight" else x[0].numel()
    value, by_v, by_s = lsq(x, step, g, qn, qp, n)
    if not at_bounds:
        other_v, other_s = lsq_by_autograd(x, step, g, qn, qp, n)
        assert torch.equal(other_v.float(), by_v)
        assert abs(other_s - by_s) < 1e-5 * (1 + abs(by_s))
    bits_name = "weight_bits" if role == "weight" else "input_bits"
    options = {bits_name: bits}
    if role == "input":
        options["signed_inputs"] = signed
    first = f32(2 * math.fsum(abs(v) for v in x.reshape(-1).tolist()) / x.numel() / math.sqrt(qp))
    return case(options, x, g, value, by_v, role=role, step=f32([step]), step_gradient=by_s,
                first_step=first)


def lsq_cases(generator):
    odd = f32(0.1371).item()
    for bits in (2, 3, 8):
        for step in (0.25, odd):
            yield lsq_case(generator, "weight", bits, True, CONV, step)
    for bits, signed in ((1, False), (2, False), (4, False), (3, True)):
        for step in (0.25, odd):
            yield lsq_case(generator, "input", bits, signed, [2, 3, 2, 3], step)


# --- dorefa ---------------------------------------------------------------------------------------

def ste_round(r):
    return (r.round() - r).detach() + r


def dorefa_weight(w, bits, fixed_max):
    n = 2 ** bits - 1
    t = torch.tanh(w)
    m = t.abs().amax()  # amax divides its gradient among equal maxima
    if fixed_max:
        m = m.detach()
    r = t / (2 * m) + 0.5
    return 2 * ste_round(n * r) / n - 1


def dorefa_cases(generator):
    for bits in (2, 3, 8):
        for gradient in ("exact", "fixed_max"):
            for tie in (False, True):
                w = drawn(generator, CONV, 1.1, (0.0,))
                largest = w.abs().argmax()
                if tie:
                    w.view(-1)[(largest + 5) % w.numel()] = -w.view(-1)[largest]
                g = upstream(generator, CONV)
                t = torch.tanh(w.double())
                codes = (2 ** bits - 1) * (t / t.abs().max() + 1) / 2
                codes.view(-1)[1] = 0  # tanh(0) is a tie between two codes: either is allowed
                require_clear(codes)
                x = w.double().requires_grad_()
                value = dorefa_weight(x, bits, gradient == "fixed_max")
                (value * g).sum().backward()
                yield case({"weight_bits": bits, "gradient": gradient}, w, g, value.float(),
                           x.grad.float(), role="weight", undecided=1)
    w, g = drawn(generator, CONV, 0.9, (0.0, -0.0)), upstream(generator, CONV)
    alpha = f32(math.fsum(abs(v) for v in w.reshape(-1).tolist()) / w.numel())
    yield case({"weight_bits": 1}, w, g, torch.where(w >= 0, alpha, -alpha), g, role="weight")
    for bits in (1, 2, 4, 8):
        n = 2 ** bits - 1
        x = drawn(generator, [2, 3, 2, 3], 1.4, (0.0, 1.0, -0.0, 1.0000001, -1e-20))
        g = upstream(generator, list(x.shape))
        clipped = x.double().clamp(0, 1)
        require_clear(clipped * n)
        value = (torch.round(clipped * n) / n).float()
        inside = ((x >= 0) & (x <= 1)).float()
        yield case({"input_bits": bits}, x, g, value, g * inside, role="input")
    yield from dorefa_gradient_cases(generator)


def dorefa_gradient_cases(generator):
    """Eq. 12 in double, one image at a time; the gradient of the last image is 0."""
    for shape in ([3, 2, 4, 3], [4, 6]):
        for bits in (1, 2, 4, 8):
            n = 2 ** bits - 1
            g = drawn(generator, shape, 2e-3, (0.0, -0.0))
            g[-1] = 0
            u = keyed_uniform(key_of(SEED, "stage1.conv/gradient/0", "gradient", 0, 4), g.numel())
            u = u.reshape(shape)
            value = torch.zeros(shape)
            for image in range(shape[0] - 1):
                m = g[image].abs().max().item()
                r = g[image].double() / (2 * m) + 0.5 + (u[image].double() - 0.5) / n
                scaled = r.clamp(0, 1) * n
                require_clear(scaled)
                value[image] = (2 * m * (scaled.round() / n - 0.5)).float()
            yield case({"gradient_bits": bits}, g, u, value, value, role="gradient", step=4)


# --- bnn ------------------------------------------------------------------------------------------

def signs(x):
    return torch.where(x >= 0, 1.0, -1.0)


def bnn_cases(generator):
    special = (0.0, -0.0, 1.0, -1.0, 1.0000001, -1.0000001, 1e-30, -1e-30)
    w, g = drawn(generator, CONV, 1.5, special), upstream(generator, CONV)
    yield case({}, w, g, signs(w), g, role="weight", clipped=w.clamp(-1, 1))
    shape = [2, 3, 4, 3]
    x, g = drawn(generator, shape, 1.5, special), upstream(generator, shape)
    inside = (x.abs() <= 1).float()
    yield case({}, x, g, signs(x), g * inside, role="input")
    for step in (0, 9):
        u = keyed_uniform(key_of(SEED, "stage1.conv/input/0", "sign", 0, step), x.numel())
        p = ((x + 1) / 2).clamp(0, 1).reshape(-1)
        decided = (p > 0) & (p < 1)
        assert (u - p)[decided].abs().min() > 1e-6, "another seed is needed"
        value = torch.where(u < p, 1.0, -1.0).reshape(shape)
        yield case({"activations": "stochastic"}, x, g, value, g * inside, role="input", step=step)


# --- uniform --------------------------------------------------------------------------------------

def ends(values, symmetric, percentile):
    """The percentile of a list: the k-th value of n in ascending order, k = ceil(n * percentile / 100)."""
    ranked = sorted(abs(v) for v in values) if symmetric else sorted(values)
    k = math.ceil(len(ranked) * percentile / 100)
    high = ranked[k - 1]
    return (-high, high) if symmetric else (ranked[len(ranked) - k], high)


def grid(low, high, symmetric, bits):
    if symmetric:
        q = 2 ** (bits - 1) - 1
        return f32(max(abs(low), abs(high)) / q).item(), q, 2 * q
    n = 2 ** bits - 1
    low, high = min(low, 0.0), max(high, 0.0)
    step = f32(f32(high - low).item() / n).item()
    return step, min(max(round(-low / step), 0), n), n


def fake_quantized(x, g, steps, zeros, n, axis):
    """PyTorch's own function; axis None: one grid."""
    leaf = x.clone().requires_grad_()
    if axis is None:
        y = torch.fake_quantize_per_tensor_affine(leaf, steps[0], zeros[0], 0, n)
    else:
        y = torch.fake_quantize_per_channel_affine(
            leaf, f32(steps), torch.tensor(zeros, dtype=torch.int32), axis, 0, n)
    (y * g).sum().backward()
    return y.detach(), leaf.grad


def uniform_case(generator, role, shape, bits, symmetric, per_channel, percentile, bound):
    x = drawn(generator, shape, 1, (0.0, -0.0)) * bound
    if role == "input" and not symmetric:
        x = x.clamp_min(-0.3 * bound)
    g = upstream(generator, shape)
    axis = (0 if role == "weight" else 1) if per_channel else None
    groups = [x.reshape(-1).tolist()] if axis is None else \
        [x.select(axis, c).reshape(-1).tolist() for c in range(x.shape[axis])]
    grids = [grid(*ends(values, symmetric, percentile), symmetric, bits) for values in groups]
    steps, zeros, n = [s for s, _, _ in grids], [z for _, z, _ in grids], grids[0][2]
    along = [1] * x.dim()
    along[axis or 0] = -1
    require_clear(x / f32(steps).reshape(along))
    value, gradient = fake_quantized(x, g, steps, zeros, n, axis)
    options = {"bits": bits, "scheme": "symmetric" if symmetric else "affine",
               "granularity": "channel" if per_channel else "tensor", "percentile": percentile}
    return case(options, x, g, value, gradient, role=role, scale=f32(steps), zero_point=zeros)


def uniform_cases(generator):
    for role, shape in (("weight", CONV), ("weight", LINEAR), ("input", [3, 2, 4, 3]),
                        ("input", [5, 6])):
        for symmetric in (False, True):
            for per_channel in (False, True):
                for bits, percentile in ((2, 100.0), (4, 80.0), (8, 100.0)):
                    yield uniform_case(generator, role, shape, bits, symmetric, per_channel,
                                       percentile, 1.7)


METHODS = {"ternary": ternary_cases, "lsq": lsq_cases, "dorefa": dorefa_cases, "bnn": bnn_cases,
           "uniform": uniform_cases}


def main():
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "kbit_methods"
    folder.mkdir(parents=True, exist_ok=True)
    made_by = f"tools/golden/kbit_methods.py, PyTorch {torch.__version__.split('+')[0]}"
    for name, cases in METHODS.items():
        for seed in range(100):
            try:
                found = list(cases(torch.Generator().manual_seed(seed)))
                break
            except AssertionError as error:
                if "another seed" not in str(error):
                    raise
        else:
            raise SystemExit(f"{name}: no seed leaves every rounding clear")
        document = {"made_by": made_by, "seed": SEED, "cases": found}
        (folder / f"{name}.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
