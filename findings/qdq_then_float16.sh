#!/usr/bin/env bash
# numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU), onnxconverter-common 1.16.0
#
# Expected: int8 costs a few thousandths here, float16 less; a model that is quantized and then has the rest
# converted to float16 ("int8 weights, half precision around them") is off by the sum of both.
#
# Instead: the scale of the int32 bias is input_scale * weight_scale, easily below 6e-5, where float16 has
# few bits left: 1.5e-7 is rounded to 1.8e-7. The bias, stored as a large integer times that scale, is off
# by the same share: 16 % here, though 0.7 itself is no problem in float16. The converter does warn
# of values below 1e-7; between that and 6e-5 it says nothing.
#
# Hurts: everyone who converts a QDQ model to float16, most with scales per channel and filters that batch
# norm folding made small.
#
# Seen:
#     float                          mean by filter 0.5798 0.7413 0.7059 0.6973  largest error 0.0000 0.0000 0.0000 0.0000
#     float16                        mean by filter 0.5799 0.7415 0.7061 0.6975  largest error 0.0002 0.0002 0.0002 0.0002
#     int8                           mean by filter 0.5806 0.7415 0.7059 0.6976  largest error 0.0043 0.0019 0.0020 0.0020
#     int8, then float16             mean by filter 0.5788 0.7173 0.6816 0.8082  largest error 0.0048 0.0260 0.0263 0.1132
#     scale of the int32 bias, int8: 9.259e-06 6.173e-07 2.469e-07 1.543e-07
#     scale of the int32 bias, int8, then float16: 9.239e-06 5.960e-07 2.384e-07 1.788e-07
#     warnings: 0 0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxconverter-common==1.16.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import logging

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader, QuantType, quantize_static)

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


import warnings

from onnxconverter_common import float16

w = (rng.standard_normal((4, 3, 3, 3))).astype(np.float32)
# What batch norm folding leaves: filters of very different size. The largest weights of the last
# three are about 0.02, 0.008 and 0.005.
largest = np.array([0.3, 0.02, 0.008, 0.005], np.float32).reshape(4, 1, 1, 1)
w *= largest / abs(w).max((1, 2, 3), keepdims=True)
b = np.full(4, 0.7, np.float32)
m = model([helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1] * 4)], {"w": w, "b": b},
          [("x", [1, 3, 8, 8])], [("y", [1, 4, 8, 8])])
onnx.save(m, "m.onnx")
batches = [rng.random((1, 3, 8, 8), dtype=np.float32) for _ in range(8)]
x = batches[0]
wanted = run(m, x)[0]


def show(title, m):
    got = run(m, x)[0]
    print(f"{title:30} mean by filter", *(f"{v:.4f}" for v in got.mean((0, 2, 3))),
          " largest error", *(f"{v:.4f}" for v in abs(got - wanted).max((0, 2, 3))))
    return abs(got - wanted).max((0, 2, 3))


show("float", m)
with warnings.catch_warnings(record=True) as first:
    warnings.simplefilter("always")
    half = float16.convert_float_to_float16(onnx.load("m.onnx"), keep_io_types=True)
    half_error = show("float16", half)
quantize_static("m.onnx", "q.onnx", Reader(batches), per_channel=True, weight_type=QuantType.QInt8)
q = onnx.load("q.onnx")
int8_error = show("int8", q)
with warnings.catch_warnings(record=True) as second:
    warnings.simplefilter("always")
    both = float16.convert_float_to_float16(onnx.load("q.onnx"), keep_io_types=True)
both_error = show("int8, then float16", both)
for title, g in (("int8", q), ("int8, then float16", both)):
    scale = next(numpy_helper.to_array(t) for t in g.graph.initializer
                 if t.name == "b_quantized_scale")
    print(f"scale of the int32 bias, {title}:", *(f"{v:.3e}" for v in scale))
print("warnings:", len(first), len(second))
assert max(half_error.max(), int8_error.max()) < 0.02, "not the behavior described"
assert both_error[2:].max() > 0.05 and not second, "not the behavior described"
EOF
