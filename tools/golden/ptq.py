#!/usr/bin/env python3
"""Writes tests/golden/ptq/*.json: the expected results of the four methods of the plugin `ptq`.

    static.json       PyTorch's own observers and quantizers (torch.ao.quantization)
    bias_correction.json  the float and the quantized layer side by side with PyTorch's own fake
                      quantizers, layer by layer as in torch.ao's _correct_bias
    fixed_point.json  every exponent tried, in double
    codebook.json     Lloyd's algorithm, every value compared with every center
    half.json         binary16 by Python's struct, bfloat16 on the bits

The percentile observer has no counterpart in PyTorch; its values are read from the bins of
PyTorch's histogram.

Tensors are not stored. Element i of tensor `key`, with each operation rounded to float32, is

    t = (((i * 2654435761 + key * 2246822519) mod 2^32) >> 8) / 2^23 - 1        in [-1, 1)
    x = t * t * t * amplitude + offset, then max(x, 0) if relu

Floats are stored as hexadecimal texts, which keep every bit.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 numpy
    /tmp/golden/bin/python tools/golden/ptq.py
"""

import json
import math
import pathlib
import struct
import warnings

import torch
from torch.ao.quantization import observer as observers

SHOWN = 24  # codes and values that are stored one by one; of the rest only the sum of the codes


def made(recipe):
    count = math.prod(recipe["shape"])
    numbers = [((i * 2654435761 + recipe["key"] * 2246822519) % 2**32) >> 8 for i in range(count)]
    t = torch.tensor(numbers, dtype=torch.float32) / 2**23 - 1
    x = t * t * t * recipe["amplitude"] + recipe["offset"]
    if recipe.get("relu"):
        x = x.clamp_min(0)
    x = x.reshape(recipe["shape"])
    for channel in recipe.get("zero_channels", []):
        x[channel] = 0
    return x


def hexadecimal(values):
    if isinstance(values, torch.Tensor):
        values = values.detach().reshape(-1).tolist()
    return [float(v).hex() for v in values]


# --- static -------------------------------------------------------------------------------------

def batches(name):
    def batch(key, amplitude, offset, relu, shape=(4, 5, 8, 8)):
        return {"key": key, "shape": list(shape), "amplitude": amplitude, "offset": offset,
                "relu": relu}

    return {
        "signed": [batch(1, 2.0, 0.1, False), batch(2, 3.5, -0.2, False),
                   batch(3, 1.0, 0.0, False)],
        "relu": [batch(4, 2.0, 0.3, True), batch(5, 2.5, 0.1, True), batch(6, 6.0, -2.0, True),
                 batch(7, 2.0, 0.0, True)],
        "positive": [batch(8, 0.5, 2.0, False), batch(9, 0.25, 3.0, False)],
        "negative": [batch(10, 0.5, -2.0, False), batch(11, 0.75, -2.0, False)],
        "outlier": [batch(12, 1.0, 0.0, False), batch(13, 40.0, 0.0, False, (1, 5, 2, 1)),
                    batch(14, 1.0, 0.0, False)],
        "constant_first": [batch(15, 0.0, 0.75, False), batch(16, 2.0, 0.0, False)],
        "tiny": [batch(17, 1e-9, 0.0, False)],
    }[name]


def code_range(bits, signed, restricted=False):
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + restricted, 2 ** (bits - 1) - 1


def percentile_range(histogram, low, high, percentile):
    counts = histogram.tolist()
    tail = sum(counts) * (100 - percentile) / 200

    def bins_cut(order):
        cut, gone = 0.0, 0
        for i in order:
            if cut + counts[i] > tail:
                break
            cut, gone = cut + counts[i], gone + 1
        return gone

    first = bins_cut(range(len(counts)))
    last = len(counts) - 1 - bins_cut(reversed(range(len(counts))))
    width = (high - low) / len(counts)
    return low + width * first, low + width * (last + 1)


def input_case(name, kind, bits, symmetric, reduce_range, percentile=99.0):
    qmin, qmax = code_range(bits, symmetric)
    arguments = {
        "dtype": torch.qint8 if symmetric else torch.quint8,
        "qscheme": torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine,
        "quant_min": qmin, "quant_max": qmax, "reduce_range": reduce_range,
    }
    classes = {"min_max": observers.MinMaxObserver,
               "moving_average": observers.MovingAverageMinMaxObserver,
               "histogram": observers.HistogramObserver,
               "percentile": observers.HistogramObserver}
    observer = classes[kind](**arguments)
    recipes = batches(name)
    for recipe in recipes:
        observer(made(recipe))
    if kind == "percentile":
        low, high = percentile_range(observer.histogram, observer.min_val, observer.max_val,
                                     percentile)
        scale, zero_point = observer._calculate_qparams(low, high)
    else:
        scale, zero_point = observer.calculate_qparams()
    qmin, qmax = observer.quant_min, observer.quant_max
    x = made(recipes[0]).requires_grad_()
    # Large values, so that codes saturate and the gradient's mask has an effect.
    y = torch.fake_quantize_per_tensor_affine(x * 4, scale.item(), int(zero_point), qmin, qmax)
    y.sum().backward()
    codes = torch.round(y.detach() / scale).long() + zero_point
    if bits == 8 and not reduce_range:
        q = torch.quantize_per_tensor(x.detach() * 4, scale.item(), int(zero_point),
                                      arguments["dtype"])
        assert torch.equal(q.int_repr().long(), codes) and torch.equal(q.dequantize(), y.detach())
    return {
        "batches": recipes, "observer": kind, "bits": bits, "symmetric": symmetric,
        "reduce_range": reduce_range, "percentile": percentile,
        "minimum": hexadecimal(observer.min_val), "maximum": hexadecimal(observer.max_val),
        "scale": hexadecimal(scale), "zero_point": int(zero_point),
        "codes": codes.reshape(-1)[:SHOWN].tolist(), "sum_of_codes": int(codes.sum()),
        "values": hexadecimal(y.reshape(-1)[:SHOWN]),
        "gradients_that_pass": int((x.grad != 0).sum()),
    }


def histogram_case(name):
    observer = observers.HistogramObserver()
    recipes = batches(name)
    for recipe in recipes:
        observer(made(recipe))
    index = observer.histogram.nonzero().reshape(-1)
    # An exact sum that also depends on the bins: the counts are sixteenths or sums of them.
    moment = sum(int(i) * float(c) for i, c in zip(index, observer.histogram[index]))
    return {"batches": recipes, "filled_bins": len(index),
            "total": observer.histogram.double().sum().item().hex(), "moment": moment.hex(),
            "first": [[int(i), float(observer.histogram[i]).hex()] for i in index[:SHOWN]]}


def weight_case(bits, per_channel, restricted):
    recipe = {"key": 20 + bits, "shape": [6, 4, 3, 3], "amplitude": 0.4, "offset": 0.01,
              "zero_channels": [2]}
    w = made(recipe)
    qmin, qmax = code_range(bits, True, restricted)
    scheme = torch.per_channel_symmetric if per_channel else torch.per_tensor_symmetric
    kind = observers.PerChannelMinMaxObserver if per_channel else observers.MinMaxObserver
    observer = kind(dtype=torch.qint8, qscheme=scheme, quant_min=qmin, quant_max=qmax)
    observer(w)
    scale, zero_point = observer.calculate_qparams()
    assert not zero_point.any()
    if per_channel:
        y = torch.fake_quantize_per_channel_affine(w, scale, zero_point.int(), 0, qmin, qmax)
        codes = torch.round(y / scale.reshape(-1, 1, 1, 1)).long()
        if bits == 8:
            q = torch.quantize_per_channel(w, scale.double(), zero_point, 0, torch.qint8)
            assert torch.equal(q.int_repr().long(), codes) and torch.equal(q.dequantize(), y)
    else:
        y = torch.fake_quantize_per_tensor_affine(w, scale.item(), 0, qmin, qmax)
        codes = torch.round(y / scale).long()
    return {"weight": recipe, "bits": bits, "per_channel": per_channel, "restricted": restricted,
            "scale": hexadecimal(scale), "codes": codes.reshape(-1).tolist(),
            "values": hexadecimal(y.reshape(-1)[:SHOWN])}


def static():
    inputs = []
    for name in ("signed", "relu", "positive", "negative", "outlier", "constant_first", "tiny"):
        for kind in ("min_max", "moving_average", "histogram"):
            inputs.append(input_case(name, kind, 8, False, False))
    for name in ("signed", "relu", "outlier"):
        for kind in ("min_max", "histogram"):
            inputs.append(input_case(name, kind, 8, True, False))
            inputs.append(input_case(name, kind, 8, False, True))
            inputs.append(input_case(name, kind, 4, False, False))
            inputs.append(input_case(name, kind, 3, True, False))
            inputs.append(input_case(name, kind, 2, False, False))
        inputs.append(input_case(name, "percentile", 8, False, False))
    inputs.append(input_case("outlier", "percentile", 8, False, False, 99.99))
    inputs.append(input_case("signed", "percentile", 4, True, False, 95.0))
    return {
        "inputs": inputs,
        "histograms": [histogram_case(n) for n in ("signed", "relu", "outlier", "constant_first")],
        "weights": [weight_case(bits, per_channel, restricted) for bits in (2, 3, 4, 8)
                    for per_channel in (True, False) for restricted in (False, True)],
    }


# --- bias correction ----------------------------------------------------------------------------

# The layers of tests/plugins/quantizers/bias_correction_test.cpp: a convolution with a folded batch
# norm, one with a bias of its own, a linear layer behind the average.
CORRECTED = {
    "conv1.weight": {"key": 40, "shape": [4, 3, 3, 3], "amplitude": 0.6, "offset": 0.02},
    "bn1.weight": {"key": 41, "shape": [4], "amplitude": 0.3, "offset": 1.0},
    "bn1.bias": {"key": 42, "shape": [4], "amplitude": 0.5, "offset": 0.1},
    "bn1.running_mean": {"key": 43, "shape": [4], "amplitude": 0.5, "offset": 0.0},
    "bn1.running_var": {"key": 44, "shape": [4], "amplitude": 0.3, "offset": 1.0},
    "conv2.weight": {"key": 45, "shape": [5, 4, 3, 3], "amplitude": 0.5, "offset": -0.01},
    "conv2.bias": {"key": 46, "shape": [5], "amplitude": 0.5, "offset": 0.2},
    "fc.weight": {"key": 47, "shape": [3, 5], "amplitude": 0.7, "offset": 0.05},
    "fc.bias": {"key": 48, "shape": [3], "amplitude": 0.5, "offset": 0.0},
}


def bias_correction_case(weight_bits):
    t = {name: made(recipe) for name, recipe in CORRECTED.items()}
    images = [{"key": 50 + i, "shape": [6, 3, 7, 7], "amplitude": 1.5, "offset": 0.2}
              for i in range(2)]
    factor = t["bn1.weight"] * torch.rsqrt(t["bn1.running_var"] + 1e-5)
    layers = [  # weight, bias, computation, operations between it and the layer before
        (t["conv1.weight"] * factor.reshape(-1, 1, 1, 1),
         t["bn1.bias"] - t["bn1.running_mean"] * factor,
         lambda x, w, b: torch.conv2d(x, w, b, padding=1), lambda x: x),
        (t["conv2.weight"], t["conv2.bias"],
         lambda x, w, b: torch.conv2d(x, w, b, padding=1), torch.relu),
        (t["fc.weight"], t["fc.bias"], torch.nn.functional.linear,
         lambda x: torch.relu(x).mean((2, 3))),
    ]
    observed, float_values = [], [made(recipe) for recipe in images]
    for weight, bias, compute, between in layers:
        observer = observers.MinMaxObserver(dtype=torch.quint8)
        float_values = [between(x) for x in float_values]
        for x in float_values:
            observer(x)
        observed.append(observer.calculate_qparams())
        float_values = [compute(x, weight, bias) for x in float_values]

    qmin, qmax = code_range(weight_bits, True)
    corrections, values = [], [made(recipe) for recipe in images]
    for (weight, bias, compute, between), (scale, zero_point) in zip(layers, observed):
        of_weight = observers.PerChannelMinMaxObserver(
            dtype=torch.qint8, qscheme=torch.per_channel_symmetric, quant_min=qmin, quant_max=qmax)
        of_weight(weight)
        scales, zeros = of_weight.calculate_qparams()
        rounded = torch.fake_quantize_per_channel_affine(weight, scales, zeros.int(), 0, qmin, qmax)
        values = [torch.fake_quantize_per_tensor_affine(between(x), scale.item(), int(zero_point),
                                                        0, 255) for x in values]
        right = torch.cat([compute(x, weight, bias) for x in values]).double()
        wrong = torch.cat([compute(x, rounded, bias) for x in values]).double()
        over = [d for d in range(right.dim()) if d != 1]
        corrections.append((right - wrong).mean(over).float())
        values = [compute(x, rounded, bias + corrections[-1]) for x in values]
    return {"weight_bits": weight_bits, "images": images, "state": CORRECTED,
            "corrections": {name: hexadecimal(c) for name, c in
                            zip(("conv1", "conv2", "fc"), corrections)},
            "logits": hexadecimal(torch.cat(values))}


def bias_correction():
    return {"cases": [bias_correction_case(bits) for bits in (2, 4, 8)]}


# --- fixed point --------------------------------------------------------------------------------

def fixed_point_codes(w, bits, v):
    top = 2 ** (bits - 1)
    return [max(-top, min(top - 1, round(math.ldexp(x, -v)))) for x in w]  # half to even


def best_exponent(w, bits):
    """Tries every exponent below the first without saturation; takes the larger of equally good ones."""
    if bits == 1:
        noise = {v: math.fsum((abs(x) - math.ldexp(1, v)) ** 2 for x in w) for v in range(-40, 20)}
        return max(v for v in noise if noise[v] == min(noise.values()))
    top = 2 ** (bits - 1)
    v = -60
    while not all(-top <= round(math.ldexp(x, -v)) < top for x in w):
        v += 1
    noise = {u: math.fsum((x - math.ldexp(q, u)) ** 2
                          for x, q in zip(w, fixed_point_codes(w, bits, u)))
             for u in range(v - 40, v + 1)}
    return max(u for u in noise if noise[u] == min(noise.values()))


def fixed_point():
    recipes = [
        {"key": 31, "shape": [6, 4, 3, 3], "amplitude": 0.3, "offset": 0.0},
        {"key": 32, "shape": [6, 4, 3, 3], "amplitude": 5.0, "offset": -0.4},
        {"key": 33, "shape": [10, 16], "amplitude": 0.02, "offset": 0.005},
    ]
    weights = [made(recipe).double() for recipe in recipes]
    cases = []
    for bits in range(1, 9):
        network = best_exponent([x for w in weights for x in w.reshape(-1).tolist()], bits)
        cases.append({
            "bits": bits, "network": network,
            "layer": [best_exponent(w.reshape(-1).tolist(), bits) for w in weights],
            "channel": [[best_exponent(row.reshape(-1).tolist(), bits) for row in w]
                        for w in weights],
            "layer_codes": [
                fixed_point_codes(w.reshape(-1).tolist()[:SHOWN], bits,
                                  best_exponent(w.reshape(-1).tolist(), bits))
                for w in weights] if bits > 1 else []})
    return {"weights": recipes, "cases": cases}


# --- codebook -----------------------------------------------------------------------------------

def lloyd(values, entries, start, iterations):
    values = sorted(values)
    n = len(values)
    if start == "linear":
        centers = [values[0] + k * (values[-1] - values[0]) / (entries - 1) for k in range(entries)]
    else:
        centers = [values[(2 * k + 1) * n // (2 * entries)] for k in range(entries)]
    before = None
    for _ in range(iterations):
        owner = [min(range(entries), key=lambda k: (abs(x - centers[k]), k)) for x in values]
        if owner == before:
            break
        for k in range(entries):
            own = [x for x, o in zip(values, owner) if o == k]
            if own:
                centers[k] = math.fsum(own) / len(own)
        before = owner
    return centers


def codebook():
    recipe = {"key": 41, "shape": [4, 5, 3, 3], "amplitude": 0.5, "offset": 0.05}
    w = made(recipe)
    cases = []
    for bits in (1, 2, 3, 4):
        for start in ("linear", "density"):
            for scope in ("layer", "channel"):
                for iterations in (0, 2, 100):
                    rows = [w.reshape(-1)] if scope == "layer" else list(w.reshape(w.shape[0], -1))
                    tables = [lloyd(row.tolist(), 2**bits, start, iterations) for row in rows]
                    cases.append({"bits": bits, "start": start, "scope": scope,
                                  "iterations": iterations,
                                  "table": hexadecimal(torch.tensor(tables, dtype=torch.float32))})
    return {"weight": recipe, "cases": cases}


# --- half ---------------------------------------------------------------------------------------

def float32_bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def to_fp16(x):
    try:
        return struct.unpack("<e", struct.pack("<e", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def to_bf16(x):
    bits = float32_bits(x)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0]


def half():
    special = [0.0, -0.0, 1.0, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8, 65504.0,
               65519.996, 65520.0, -65520.0, 1e30, 2.0**-14, 2.0**-24, 2.0**-25, 1.5 * 2.0**-25,
               6e-8, -3e-8, 1e-40, 3.3895314e38]
    values = torch.tensor(special, dtype=torch.float32).tolist()
    values += made({"key": 51, "shape": [40], "amplitude": 3.0, "offset": 0.0}).tolist()
    return {"values": hexadecimal(values), "fp16": hexadecimal(map(to_fp16, values)),
            "bf16": hexadecimal(map(to_bf16, values))}


def main():
    warnings.simplefilter("ignore")  # reduce_range is deprecated there
    torch.set_num_threads(1)
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "ptq"
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("static", static), ("bias_correction", bias_correction),
                       ("fixed_point", fixed_point),
                       ("codebook", codebook), ("half", half)):
        document = {"made_by": f"tools/golden/ptq.py, PyTorch {torch.__version__.split('+')[0]}",
                    **make()}
        text = json.dumps(document, separators=(",", ":"))
        # One line per case keeps a difference readable.
        (folder / f"{name}.json").write_text(text.replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
