#!/usr/bin/env bash
# numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU)
#
# Expected: a filter whose weights are all zero (pruned, or a residual branch that begins at zero) gives
# its bias everywhere. An int32 bias has room for that: after quantization the output is the bias, to a
# step of the output.
#
# Instead: quantize_static gives such a filter the weight scale 1, so that the bias gets the step
# input_scale * 1 (which is 1 for pixels 0 to 255) and is rounded to whole steps: 0.4 becomes 0. No
# warning. One weight of 1e-6 in the filter, which changes nothing else, makes the result right. With
# scales per channel it hits single filters, in both formats; a layer that is zero throughout loses all
# its biases with scales per tensor too.
#
# Hurts: everyone who quantizes a pruned network (or one with a dead filter, or a residual branch that
# still is as it was initialised) with scales per channel, most where the inputs are large: the first
# layer. Accuracy falls and nothing says where.
#
# Seen:
#     channel 2 all zero           QDQ       per_channel=False: float 0.400, quantized 0.402
#     channel 2 all zero           QDQ       per_channel=True : float 0.400, quantized 0.000
#     channel 2 all zero           QOperator per_channel=False: float 0.400, quantized 0.402
#     channel 2 all zero           QOperator per_channel=True : float 0.400, quantized 0.000
#     channel 2 one weight of 1e-6 QDQ       per_channel=False: float 0.400, quantized 0.402
#     channel 2 one weight of 1e-6 QDQ       per_channel=True : float 0.400, quantized 0.402
#     channel 2 one weight of 1e-6 QOperator per_channel=False: float 0.400, quantized 0.402
#     channel 2 one weight of 1e-6 QOperator per_channel=True : float 0.400, quantized 0.402
#     whole layer zero, per_channel=False: float [ 0.3 -0.2  0.4 -0.4] quantized [0. 0. 0. 0.]
#     whole layer zero, per_channel=True : float [ 0.3 -0.2  0.4 -0.4] quantized [0. 0. 0. 0.]
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import logging

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader, QuantFormat, QuantType, quantize_static)

# Warnings stay visible, for one would be an answer; but not the advice that every call prints.
logging.getLogger().addFilter(lambda r: "pre-processing" not in r.getMessage())
ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)


class Reader(CalibrationDataReader):
    def __init__(self, batches):
        self.left = [{"x": x} for x in batches]

    def get_next(self):
        return self.left.pop(0) if self.left else None


def model(nodes, constants, inputs, outputs):
    def info(pair):
        return helper.make_tensor_value_info(pair[0], TensorProto.FLOAT, pair[1])
    graph = helper.make_graph(
        nodes, "g", [info(i) for i in inputs], [info(o) for o in outputs],
        [numpy_helper.from_array(v, k) for k, v in constants.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(m, x):
    session = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


x_all = [rng.integers(0, 256, (1, 3, 8, 8)).astype(np.float32) for _ in range(8)]
b = np.array([0.3, -0.2, 0.4, -0.4], np.float32)


def quantized(w, per_channel, form):
    m = model([helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1] * 4)], {"w": w, "b": b},
              [("x", [1, 3, 8, 8])], [("y", [1, 4, 8, 8])])
    onnx.save(m, "m.onnx")
    quantize_static("m.onnx", "q.onnx", Reader(x_all), quant_format=form, per_channel=per_channel,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return run(m, x_all[0])[0], run(onnx.load("q.onnx"), x_all[0])[0]


w = (rng.standard_normal((4, 3, 3, 3)) * 0.002).astype(np.float32)
wrong = []
for title, change in (("channel 2 all zero", 0), ("channel 2 one weight of 1e-6", 1e-6)):
    w[2] = 0
    w[2, 0, 0, 0] = change
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        for per_channel in (False, True):
            wanted, got = quantized(w, per_channel, form)
            print(f"{title:28} {form.name:9} per_channel={per_channel!s:5}: "
                  f"float {wanted[0, 2].mean():.3f}, quantized {got[0, 2].mean():.3f}")
            if abs(got[0, 2] - wanted[0, 2]).max() > 0.3:
                wrong.append((change, per_channel))
w[:] = 0
for per_channel in (False, True):
    wanted, got = quantized(w, per_channel, QuantFormat.QDQ)
    print(f"whole layer zero, per_channel={per_channel!s:5}: float", wanted[0, :, 0, 0],
          "quantized", got[0, :, 0, 0])
    assert wanted.any() and not got.any(), "not the behavior described"
assert wrong == [(0, True), (0, True)], "not the behavior described"
EOF
