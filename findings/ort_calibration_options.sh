#!/usr/bin/env bash
# numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU)
#
# Expected, of quantize_static's calibration options (here on the calibrators that it makes from them):
# - max_intermediate_outputs (CalibMaxIntermediateOutputs) bounds the memory; the range stays that of all
#   the batches.
# - averaging_constant (CalibMovingAverageConstant) is the weight of a new batch in the moving average.
# - Entropy searches for the threshold with the least divergence, and clips an outlier.
#
# Instead, without a warning:
# - whenever the buffer is full it is thrown away, unread: only what came after the last full buffer
#   counts, here 2 instead of 10. (The name of the option promises the opposite.)
# - the constant changes nothing: the "moving average" is the plain mean of all the batches' extremes. (It
#   counts between several calls of collect_data only.)
# - with the default of 128 bins and 128 quantized bins there is a single candidate, the whole range:
#   Entropy returns MinMax, as long as no later batch is wider than the first. With 4001 bins it clips the
#   outlier.
#
# Hurts: everyone who calibrates on more batches than fit into memory, and everyone who compares
# calibration methods: two of the rows are the same method.
#
# Seen:
#     five batches with the largest values 10 1 1 1 2
#       MinMax: (-10.0, 10.0)
#       MinMax, max_intermediate_outputs 2, 3, 4: (-2.0, 2.0) (-2.0, 2.0) (-2.0, 2.0)
#       moving average, constant 0.01, 0.5, 0.99: (-3.0, 3.0) (-3.0, 3.0) (-3.0, 3.0) (mean of the five: 3)
#     four batches of 4096 normal values, one of them 100
#       MinMax: (-4.02, 100.0)
#       Entropy, as it comes: (-4.02, 100.0)
#       Entropy, num_bins 4001: (-4.02, 7.42)
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
    CalibrationDataReader)

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


from contextlib import redirect_stdout
from io import StringIO

from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator


def ranges(batches, method, **options):
    n = batches[0].shape[1]
    onnx.save(model([helper.make_node("MatMul", ["x", "w"], ["y"])],
                    {"w": np.ones((n, 1), np.float32)}, [("x", [1, n])], [("y", [1, 1])]), "m.onnx")
    c = create_calibrator("m.onnx", None, "a.onnx", method, extra_options=options)
    with redirect_stdout(StringIO()):  # its progress messages
        c.collect_data(Reader(batches))
        found = c.compute_data().data["x"].range_value
    return tuple(round(float(np.squeeze(v)), 2) for v in found)


five = [np.array([[-v, v]], np.float32) for v in (10, 1, 1, 1, 2)]
print("five batches with the largest values 10 1 1 1 2")
full = ranges(five, CalibrationMethod.MinMax)
some = [ranges(five, CalibrationMethod.MinMax, max_intermediate_outputs=n) for n in (2, 3, 4)]
print("  MinMax:", full)
print("  MinMax, max_intermediate_outputs 2, 3, 4:", *some)
moving = [ranges(five, CalibrationMethod.MinMax, moving_average=True, averaging_constant=c)
          for c in (0.01, 0.5, 0.99)]
print("  moving average, constant 0.01, 0.5, 0.99:", *moving, "(mean of the five: 3)")
normal = [rng.standard_normal((1, 4096)).astype(np.float32) for _ in range(4)]
normal[0][0, 0] = 100
print("four batches of 4096 normal values, one of them 100")
entropy = ranges(normal, CalibrationMethod.Entropy)
minmax = ranges(normal, CalibrationMethod.MinMax)
fine = ranges(normal, CalibrationMethod.Entropy, num_bins=4001)
print("  MinMax:", minmax)
print("  Entropy, as it comes:", entropy)
print("  Entropy, num_bins 4001:", fine)
assert full == (-10, 10) and some == [(-2, 2)] * 3, "not the behavior described"
assert moving == [(-3, 3)] * 3, "not the behavior described"
assert entropy == minmax and fine[1] < 20, "not the behavior described"
EOF
