#!/usr/bin/env bash
# numpy 2.4.6, openvino 2026.4.1 (CPU with AVX-512, f32 hint)
#
# Expected: FakeQuantize with two levels and input_low = input_high is a threshold: output_low for x up to
# it, output_high above. The specification gives equal bounds as the form for binarization.
#
# Instead: the CPU does so for outputs out of 0 and 1. For -1 and +1, the values of most binary networks, it
# divides by the width of the range, and all values are NaN. Nobody sees them where a Convolution with
# constant weights of +-1 follows: it is silently replaced by BinaryConvolution, which takes NaN for -1, so
# the results are integers of the right kind, minus the sum of each filter's weights, whatever the input
# is. Where it is not replaced, for instance because the quantizer has a second consumer, they are NaN.
# Padding does not help. A range around the threshold, such as -1 .. 1 for 0, gives the right results; the
# quantizer's own evaluate() is right in all cases.
#
# Hurts: everyone who writes the sign of a binary network, or batch norm folded into thresholds per channel,
# in the form that the specification offers: the outputs are finite, but the network no longer sees its
# input.
#
# Seen:
#     range -1 .. 1, outputs -1 and 1: convolution: 0 % wrong, depends on the input: yes | with the quantizer as second output: NaN 0 %
#     threshold 0, outputs 0 and 1: convolution: 0 % wrong, depends on the input: yes
#     threshold 0, outputs -1 and 1: convolution: 99 % wrong, depends on the input: no | with the quantizer as second output: NaN 100 %
#     thresholds per channel, outputs -1 and 1: convolution: 97 % wrong, depends on the input: no | with the quantizer as second output: NaN 100 %
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 openvino==2026.4.1
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import numpy as np
import openvino as ov
from openvino import opset13 as op

core = ov.Core()
rng = np.random.default_rng(0)
C = 64
x = rng.standard_normal((1, C, 8, 8)).astype(np.float32)
w = rng.choice(np.array([-1, 1], np.float32), (16, C, 3, 3))
minus_sums = -w.sum((1, 2, 3))[:, None, None]
spread = rng.standard_normal((1, C, 1, 1)).astype(np.float32)


def quantizer(low, high, out_low):
    """A parameter and its quantizer to the values out_low and 1."""
    p = op.parameter(x.shape, np.float32)
    bounds = (op.constant(np.float32(v)) for v in (low, high, out_low, 1))
    return p, op.fake_quantize(p, *bounds, 2)


def run(low, high, out_low, shown):
    """The sums of a 3x3 convolution, then the quantized values if shown, and the kinds of node run."""
    p, q = quantizer(low, high, out_low)
    y = op.convolution(q, op.constant(w), [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = core.compile_model(ov.Model([y, q] if shown else [y], [p]), "CPU",
                                  {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = [n.get_rt_info()["layerType"].astype(str) for n in compiled.get_runtime_model().get_ops()]
    return [np.array(v) for v in compiled([x]).values()], kinds


seen = []
for title, low, high, out_low in (
        ("range -1 .. 1", -1, 1, -1), ("threshold 0", 0, 0, 0), ("threshold 0", 0, 0, -1),
        ("thresholds per channel", spread, spread, -1)):
    want = np.where(x > (low + high) / 2, 1, out_low).astype(np.float32)
    p, q = quantizer(low, high, out_low)
    evaluated = ov.Tensor(np.zeros_like(x))
    ov.Model([q], [p]).evaluate([evaluated], [ov.Tensor(x)])
    assert (evaluated.data == want).all(), "not the behavior described"
    windows = np.lib.stride_tricks.sliding_window_view(want, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, w)

    (got,), kinds = run(low, high, out_low, False)
    assert "BinaryConvolution" in kinds, "not the behavior described"
    constant = bool((got == minus_sums).all())
    line = (f"{title}, outputs {out_low} and 1: convolution: {100 * (got != sums).mean():.0f} % wrong, "
            f"depends on the input: {'no' if constant else 'yes'}")
    seen.append((bool((got == sums).all()), constant))
    if out_low:
        (got, values), kinds = run(low, high, out_low, True)
        assert "BinaryConvolution" not in kinds, "not the behavior described"
        nan = np.isnan(np.concatenate([got.ravel(), values.ravel()]))
        right = bool((got == sums).all() and (values == want).all())
        line += f" | with the quantizer as second output: NaN {100 * nan.mean():.0f} %"
        seen.append((right, bool(nan.all())))
    print(line)
good, bad = (True, False), (False, True)  # right, spoiled
assert seen == [good, good, good, bad, bad, bad, bad], "not the behavior described"
EOF
