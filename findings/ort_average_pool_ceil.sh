#!/usr/bin/env bash
# numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU)
#
# Expected: the average of a constant image is that constant, in int8 as in float. nn.AvgPool2d(2,
# ceil_mode=True) of a 5x5 image has windows that hang over its right and lower edge; there is no padding,
# and onnx's definition (and onnxruntime's float operator) divides by the cells that exist.
#
# Instead: the quantized operator divides by the whole window when count_include_pad is 1, which is what
# PyTorch's default exports: the last column and row are halved, the corner is a quarter. No warning. A
# QDQ model is right until the optimizer fuses its pooling, so that it is right without optimization
# and wrong by default; a QOperator model is wrong always. With count_include_pad 0, the same pooling
# where nothing is padded, all are right.
#
# Hurts: everyone who quantizes a network that pools with ceil_mode (shortcuts that average, odd image
# sizes) for onnxruntime: the border of the feature map is dimmed by up to three quarters.
#
# Seen:
#     count_include_pad=0 float    ENABLE_ALL  3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00 | onnx's reference 3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=0 QDQ       DISABLE_ALL 3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=0 QDQ       ENABLE_ALL  3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=0 QOperator DISABLE_ALL 3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=0 QOperator ENABLE_ALL  3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=1 float    ENABLE_ALL  3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00 | onnx's reference 3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=1 QDQ       DISABLE_ALL 3.00 3.00 3.00 / 3.00 3.00 3.00 / 3.00 3.00 3.00
#     count_include_pad=1 QDQ       ENABLE_ALL  3.00 3.00 1.51 / 3.00 3.00 1.51 / 1.51 1.51 0.75
#     count_include_pad=1 QOperator DISABLE_ALL 3.00 3.00 1.51 / 3.00 3.00 1.51 / 1.51 1.51 0.75
#     count_include_pad=1 QOperator ENABLE_ALL  3.00 3.00 1.51 / 3.00 3.00 1.51 / 1.51 1.51 0.75
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
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

# Warnings stay visible, for one would be an answer; but not the advice that every call prints.
logging.getLogger().addFilter(lambda r: "pre-processing" not in r.getMessage())
ort.set_default_logger_severity(3)
Level = ort.GraphOptimizationLevel


class Reader(CalibrationDataReader):
    def __init__(self, batches):
        self.left = [{"x": x} for x in batches]

    def get_next(self):
        return self.left.pop(0) if self.left else None


def model(include):
    """A convolution that changes nothing, and the pooling that nn.AvgPool2d(2, ceil_mode=True) is."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[1, 1]),
             helper.make_node("AveragePool", ["c"], ["y"], kernel_shape=[2, 2], strides=[2, 2],
                              ceil_mode=1, count_include_pad=include)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def run(m, x, level):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    session = ort.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0][0, 0]


def show(rows):
    return " / ".join(" ".join(f"{v:.2f}" for v in row) for row in rows)


x = np.full((1, 1, 5, 5), 3, np.float32)
wrong = []
for include in (0, 1):
    m = model(include)
    onnx.save(m, "m.onnx")
    reference = ReferenceEvaluator(m).run(None, {"x": x})[0][0, 0]
    print(f"count_include_pad={include} float    ENABLE_ALL ", show(run(m, x, Level.ORT_ENABLE_ALL)),
          "| onnx's reference", show(reference))
    for form in (QuantFormat.QDQ, QuantFormat.QOperator):
        quantize_static("m.onnx", "q.onnx", Reader([x, x / 3]), quant_format=form,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        q = onnx.load("q.onnx")
        for level in (Level.ORT_DISABLE_ALL, Level.ORT_ENABLE_ALL):
            got = run(q, x, level)
            print(f"count_include_pad={include} {form.name:9} {level.name[4:]:11}", show(got))
            if abs(got - reference).max() > 0.1:
                wrong.append((include, form.name, level.name))
assert wrong == [(1, "QDQ", "ORT_ENABLE_ALL"), (1, "QOperator", "ORT_DISABLE_ALL"),
                 (1, "QOperator", "ORT_ENABLE_ALL")], "not the behavior described"
EOF
