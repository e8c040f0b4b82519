#!/usr/bin/env bash
# hls4ml 1.3.0 (with g++), qonnx 1.0.0, numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0
#
# Expected: ONNX's Conv pads with 0, which is none of the two values of BipolarQuant: at the border fewer inputs
# count. qonnx computes that; a tool that can hold only -1 and +1 there must refuse it (or say what it pads with).
#
# Instead: hls4ml stores the +-1 of BipolarQuant in one bit (0 for -1, 1 for +1) and pads the bits with 0: the
# border of the convolution is padded with -1. No warning, neither for binary weights nor for others. The
# interior is right, and without padding all is. With Quant to 2 bits (narrow: -1, 0 and +1) before the same
# convolution the border is right, too.
#
# Hurts: everyone who takes a convolution network with binary activations and padding through QONNX to an FPGA: in
# an 8x8 image 28 of 64 outputs lie on a border.
#
# Seen:
#     BipolarQuant, weights +-1    pads 0: differ   0 % in the interior,   0 % at the border
#     BipolarQuant, weights +-1    pads 1: differ   0 % in the interior,  87 % at the border, by up to 12; equal to a padding with -1: True
#     BipolarQuant, weights 4 bits pads 1: differ   0 % in the interior,  99 % at the border, by up to 6.625; equal to a padding with -1: True
#     2 bits,       weights +-1    pads 1: differ   0 % in the interior,   0 % at the border
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
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.util.cleanup import cleanup_model

warnings.simplefilter("always")  # the imports are loud; a warning about the model would be an answer
CUSTOM = "qonnx.custom_op.general"
SIZE, CHANNELS, FILTERS = 8, 4, 6
rng = np.random.default_rng(0)
images = rng.choice(np.float32([-0.75, -0.25, 0.25, 0.75]), (4, CHANNELS, SIZE, SIZE))
kernels = rng.uniform(-1, 1, (FILTERS, CHANNELS, 3, 3)).astype(np.float32)


def model(activations, weights, pads, size=SIZE):
    nodes, constants = [], {}

    def constant(v):
        name = f"c{len(constants)}"
        constants[name] = numpy_helper.from_array(np.asarray(v, np.float32), name)
        return name

    def add(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], name=f"n{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    def quantized(x, kind):
        if kind == "bipolar":
            return add("BipolarQuant", x, constant(1), domain=CUSTOM)
        bits, scale = kind
        return add("Quant", x, constant(scale), constant(0), constant(bits), domain=CUSTOM,
                   signed=1, narrow=1, rounding_mode="ROUND")

    add("Conv", quantized("x", activations), quantized(constant(kernels), weights),
        kernel_shape=[3, 3], strides=[1, 1], dilations=[1, 1], group=1, pads=[pads] * 4)
    nodes[-1].output[0] = "y"
    side = size + 2 * pads - 2
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, FILTERS, side, side])],
        list(constants.values()))
    return cleanup_model(ModelWrapper(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(CUSTOM, 1)], ir_version=8)))


def in_qonnx(m, x):
    name = m.graph.input[0].name
    return np.concatenate([list(execute_onnx(m, {name: image[None]}).values())[0] for image in x])


def in_hls4ml(m, x, folder):
    with contextlib.redirect_stdout(io.StringIO()):
        m = cleanup_model(m.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True)))
        config = hls4ml.utils.config_from_onnx_model(
            m, granularity="name", backend="Vitis", default_precision="fixed<24,10>")
        made = hls4ml.converters.convert_from_onnx_model(
            m, hls_config=config, output_dir=os.path.abspath(folder), backend="Vitis")
        made.compile()
        y = made.predict(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    return y.reshape(len(x), *m.get_tensor_shape(m.graph.output[0].name)[1:])


found = []
for title, activations, weights, pads in (
        ("BipolarQuant, weights +-1", "bipolar", "bipolar", 0),
        ("BipolarQuant, weights +-1", "bipolar", "bipolar", 1),
        ("BipolarQuant, weights 4 bits", "bipolar", (4, 1 / 8), 1),
        ("2 bits,       weights +-1", (2, 1), "bipolar", 1)):
    m = model(activations, weights, pads)
    wanted, seen = in_qonnx(m, images), in_hls4ml(m, images, f"p{len(found)}")
    assert seen.shape == wanted.shape
    edge = np.zeros(wanted.shape[-2:], bool)
    if pads:
        edge[[0, -1]] = edge[:, [0, -1]] = True
    differ = seen != wanted
    inside = differ[..., ~edge].mean()
    border = differ[..., edge].mean() if pads else 0.0
    line = f"{title:28} pads {pads}: differ {100 * inside:3.0f} % in the interior, {100 * border:3.0f} % at the border"
    negative = None
    if border:
        around = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-1)
        negative = bool((in_qonnx(model(activations, weights, 0, SIZE + 2), around) == seen).all())
        line += f", by up to {abs(seen - wanted).max():g}; equal to a padding with -1: {negative}"
    print(line, flush=True)
    found.append((inside, border > 0.3, negative))
assert found == [(0, False, None), (0, True, True), (0, True, True), (0, False, None)], \
    "not the behavior described"
EOF
