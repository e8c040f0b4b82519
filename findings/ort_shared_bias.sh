#!/usr/bin/env bash
# numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU), onnxslim 0.1.98
#
# Expected: a simplifier that keeps the float model's outputs to the bit is safe in front of a quantizer.
#
# Instead: onnxslim (onnxsim 0.8.1 too, and exporters that merge equal constants) stores two equal biases
# once. quantize_static with QuantFormat.QOperator turns that one tensor to int32 for the layer that it meets
# first, with that layer's input_scale * weight_scale, and hands the same integers to the other, whose
# step is another: its bias is wrong by the ratio of the two. No warning. The QDQ format, which names the
# bias's scale, stays right. Equal biases are not rare: a constant initial value that hardly moved, the
# prior of a detector's heads, and one head that is applied at several levels on purpose.
#
# Hurts: everyone who simplifies and then quantizes to QLinearConv, and everyone with a shared head.
#
# Seen:
#     float model: outputs -2.41 .. 1.14; the simplified one differs by 0.0e+00
#     plain      (4 biases), QDQ      : mean -0.428 (float -0.430), largest error 0.028
#     plain      (4 biases), QOperator: mean -0.428 (float -0.430), largest error 0.028
#     simplified (3 biases), QDQ      : mean -0.428 (float -0.430), largest error 0.028
#     simplified (3 biases), QOperator: mean -0.149 (float -0.430), largest error 0.361
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxslim==0.1.98
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


import onnxslim

C = 8
names = ["w0", "w1", "w2", "w3"]
weights = {n: (rng.standard_normal((C, 3 if n == "w0" else C, 3, 3)) * s).astype(np.float32)
           for n, s in zip(names, [0.3, 0.02, 0.3, 0.02])}
# Two convolutions whose biases happen to be equal: what a constant initial value gives.
bias = {n: np.full(C, -0.5 if n in ("b1", "b3") else 0.1 * int(n[1]), np.float32)
        for n in ["b0", "b1", "b2", "b3"]}
nodes, before = [], "x"
for i in range(4):
    nodes.append(helper.make_node("Conv", [before, f"w{i}", f"b{i}"], [f"c{i}"], pads=[1] * 4))
    before = f"c{i}"
    if i in (0, 2):
        nodes.append(helper.make_node("Relu", [before], [f"r{i}"]))
        before = f"r{i}"
nodes[-1].output[0] = "y"
plain = model(nodes, {**weights, **bias}, [("x", [1, 3, 8, 8])], [("y", [1, C, 8, 8])])
slim = onnxslim.slim(onnx.load_from_string(plain.SerializeToString()))
batches = [rng.random((1, 3, 8, 8), dtype=np.float32) * 20 for _ in range(8)]
x = batches[0]
wanted = run(plain, x)[0]
print(f"float model: outputs {wanted.min():.2f} .. {wanted.max():.2f}; "
      f"the simplified one differs by {abs(run(slim, x)[0] - wanted).max():.1e}")
error = {}
for title, source in (("plain", plain), ("simplified", slim)):
    onnx.save(source, "m.onnx")
    biases = len({n.input[2] for n in source.graph.node if n.op_type == "Conv"})
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        quantize_static("m.onnx", "q.onnx", Reader(batches), quant_format=form, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        got = run(onnx.load("q.onnx"), x)[0]
        error[title, form.name] = abs(got - wanted).max()
        print(f"{title:10} ({biases} biases), {form.name:9}: mean {got.mean():+.3f} "
              f"(float {wanted.mean():+.3f}), largest error {error[title, form.name]:.3f}")
good = max(v for k, v in error.items() if k != ("simplified", "QOperator"))
assert error["simplified", "QOperator"] > 5 * good, "not the behavior described"
EOF
