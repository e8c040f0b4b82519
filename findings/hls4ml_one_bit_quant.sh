#!/usr/bin/env bash
# hls4ml 1.3.0 (with g++), qonnx 1.0.0, numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0
#
# Expected: QONNX's Quant with a bit width of 1 and signed = 1 means the signs: qonnx computes +1 for x >= 0
# and -1 below, times the scale. hls4ml's front end takes Quant nodes, refuses what it does not know (other
# rounding modes, narrow unsigned codes), and so gives the same numbers or an error.
#
# Instead: hls4ml makes a two's complement number of one bit of it, which holds -1 and 0, and rounds to that:
# every positive value becomes 0, and so does what lies less than half a scale below 0 (-0.25 here). With
# narrow = 1, which changes nothing in qonnx, all weights are 0. It is so with scale 1 and with others. No
# warning. BipolarQuant is right.
#
# Hurts: everyone who takes a binary network to an FPGA and writes Quant, the node of all other widths, for
# 1 bit, too: the file is right in qonnx's execution and wrong in the circuit.
#
# Seen:
#     weights, BipolarQuant                    qonnx 1 -1 1 -1           hls4ml 1 -1 1 -1
#     weights, BipolarQuant, scale 0.75        qonnx 0.75 -0.75 0.75 -0.75 hls4ml 0.75 -0.75 0.75 -0.75
#     weights, Quant 2 bits narrow             qonnx 1 -1 1 -1           hls4ml 1 -1 1 -1
#     weights, Quant 1 bit                     qonnx 1 -1 1 -1           hls4ml 0 -1 0 -1
#     weights, Quant 1 bit narrow              qonnx 1 -1 1 -1           hls4ml 0 0 0 0
#     weights, Quant 1 bit, scale 0.75         qonnx 0.75 -0.75 0.75 -0.75 hls4ml 0 -0.75 0 -0.75
#     activations, BipolarQuant                qonnx 1 -1 1 -1           hls4ml 1 -1 1 -1
#     activations, Quant 1 bit                 qonnx 1 -1 1 -1           hls4ml 0 -1 0 0
#     activations, Quant 1 bit narrow          qonnx 1 -1 1 -1           hls4ml 0 -1 0 0
#     activations, Quant 1 bit, scale 0.75     qonnx 0.75 -0.75 0.75 -0.75 hls4ml 0 -0.75 0 0
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    hls4ml==1.3.0 qonnx==1.0.0 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$tmp"
"$tmp/venv/bin/python" - <<'EOF'
import contextlib
import io
import os
import warnings

import numpy as np
from onnx import TensorProto, helper, numpy_helper

warnings.simplefilter("ignore")
import hls4ml
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

warnings.simplefilter("always")  # the imports are loud; a warning about the model would be an answer
CUSTOM = "qonnx.custom_op.general"


def model(weights, signs_of, node):
    """x in 8 bits, then a matrix product; `node` makes the signs of `signs_of` ("weights" or "activations")."""
    nodes, constants = [], {}

    def constant(v):
        name = f"c{len(constants)}"
        constants[name] = numpy_helper.from_array(np.asarray(v, np.float32), name)
        return name

    def add(kind, inputs, output, domain="", **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], domain=domain, name=output, **attributes))
        return output

    def quant(x, output, bits, scale, narrow=0):
        return add("Quant", [x, constant(scale), constant(0), constant(bits)], output, CUSTOM,
                   signed=1, narrow=narrow, rounding_mode="ROUND")

    def signs(x, output):
        kind, bits, narrow, scale = node
        if kind == "BipolarQuant":
            return add(kind, [x, constant(scale)], output, CUSTOM)
        return quant(x, output, bits, scale, narrow)

    x, w = quant("x", "x8", 8, 1 / 16), constant(weights)
    x = signs(x, "xs") if signs_of == "activations" else x
    w = signs(w, "ws") if signs_of == "weights" else quant(w, "w8", 8, 1 / 16)
    add("MatMul", [x, w], "y")
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], list(constants.values()))
    return cleanup_model(ModelWrapper(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(CUSTOM, 1)], ir_version=8)))


def in_qonnx(m, x):
    (y,) = execute_onnx(m, {m.graph.input[0].name: x}).values()
    return y.ravel()


def in_hls4ml(m, x, folder):
    with contextlib.redirect_stdout(io.StringIO()):
        config = hls4ml.utils.config_from_onnx_model(
            m, granularity="name", backend="Vitis", default_precision="fixed<24,10>")
        made = hls4ml.converters.convert_from_onnx_model(
            m, hls_config=config, output_dir=os.path.abspath(folder), backend="Vitis")
        made.compile()
        return made.predict(x).ravel()


values = np.float32([0.75, -0.75, 0.25, -0.25])
NODES = {
    "BipolarQuant": ("BipolarQuant", 1, 0, 1),
    "BipolarQuant, scale 0.75": ("BipolarQuant", 1, 0, 0.75),
    "Quant 2 bits narrow": ("Quant", 2, 1, 1),
    "Quant 1 bit": ("Quant", 1, 0, 1),
    "Quant 1 bit narrow": ("Quant", 1, 1, 1),
    "Quant 1 bit, scale 0.75": ("Quant", 1, 0, 0.75),
}
# The first row of the weights meets a 1, the others a 0; the activations meet the identity matrix.
first_row = np.zeros((4, 4), np.float32)
first_row[0] = np.sign(values)
got = {}
for signs_of, titles in (("weights", list(NODES)),
                         ("activations", [t for t in NODES if t not in list(NODES)[1:3]])):
    for title in titles:
        weights = first_row if signs_of == "weights" else np.eye(4, dtype=np.float32)
        x = np.float32([[1, 0, 0, 0]]) if signs_of == "weights" else values[None]
        m = model(weights, signs_of, NODES[title])
        wanted, seen = in_qonnx(m, x), in_hls4ml(m, x, f"p{len(got)}")
        got[signs_of, title] = np.array_equal(wanted, seen), seen.tolist()

        def text(v):
            return " ".join(f"{a + 0.0:g}" for a in v)
        print(f"{signs_of + ', ' + title:40} qonnx {text(wanted):19} hls4ml {text(seen)}", flush=True)
for (signs_of, title), (same, seen) in got.items():
    assert same == ("1 bit" not in title), "not the behavior described"
    if "1 bit" in title:
        scale = NODES[title][3]
        wanted = [0, -scale, 0, -scale] if signs_of == "weights" else [0, -scale, 0, 0]
        if signs_of == "weights" and "narrow" in title:
            wanted = [0] * 4
        assert seen == wanted, "not the behavior described"
EOF
