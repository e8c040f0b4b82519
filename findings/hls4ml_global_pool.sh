#!/usr/bin/env bash
# hls4ml 1.3.0 (with g++), qonnx 1.0.0, numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0
#
# Expected: GlobalAveragePool (or GlobalMaxPool) gives one number for each channel. hls4ml's front end takes
# QONNX models that qonnx made channels last, has both operators, and gives what qonnx's execution gives.
#
# Instead: qonnx's conversion leaves these two in channels first and puts a Transpose before them; hls4ml
# reads the sizes in that order, and its kernel then walks the values as if they were channels last: what it calls
# a channel is every C-th of all values, so that every output is a mean over all channels. The number of outputs
# is right, and nothing warns. MaxPool over the whole image is right.
#
# Hurts: everyone who takes a ResNet or any other network that ends in a global pooling through QONNX to an
# FPGA: its classifier gets mixed channels.
#
# Seen:
#     MaxPool           behind Conv: qonnx  0.500  1.500  2.500  3.500 | hls4ml  0.500  1.500  2.500  3.500
#     GlobalMaxPool     behind Conv: qonnx  0.500  1.500  2.500  3.500 | hls4ml  3.500  3.125  3.500  3.500
#     GlobalAveragePool behind Conv: qonnx  0.007  1.021  1.990  3.083 | hls4ml  1.514  1.521  1.583  1.483
#     GlobalAveragePool first      : qonnx  0.007  1.021  1.990  3.083 | hls4ml  1.514  1.521  1.583  1.483
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
CHANNELS, SIDE = 4, 6
rng = np.random.default_rng(0)
# Channel c holds values around c.
images = (rng.integers(-4, 5, (2, CHANNELS, SIDE, SIDE)) / 8 + np.arange(CHANNELS)[:, None, None]).astype(np.float32)


def model(pool, before):
    nodes, constants = [], {}

    def constant(v):
        name = f"c{len(constants)}"
        constants[name] = numpy_helper.from_array(np.asarray(v, np.float32), name)
        return name

    def add(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], name=f"n{len(nodes)}", **attributes))
        return nodes[-1].output[0]

    def quant(x):
        return add("Quant", x, constant(1 / 8), constant(0), constant(7), domain=CUSTOM,
                   signed=1, narrow=0, rounding_mode="ROUND")

    x = quant("x")
    if before == "Conv":  # 1x1, the identity
        x = add("Conv", x, quant(constant(np.eye(CHANNELS)[:, :, None, None])), kernel_shape=[1, 1],
                strides=[1, 1], dilations=[1, 1], group=1, pads=[0] * 4)
    whole = dict(kernel_shape=[SIDE] * 2, strides=[SIDE] * 2, pads=[0] * 4) if pool == "MaxPool" else {}
    add(pool, x, **whole)
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CHANNELS, 1, 1])], list(constants.values()))
    return cleanup_model(ModelWrapper(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(CUSTOM, 1)], ir_version=8)))


def in_qonnx(m, x):
    name = m.graph.input[0].name
    return np.concatenate([list(execute_onnx(m, {name: image[None]}).values())[0].ravel()[None] for image in x])


def in_hls4ml(m, x, folder):
    with contextlib.redirect_stdout(io.StringIO()):
        m = cleanup_model(m.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True)))
        config = hls4ml.utils.config_from_onnx_model(
            m, granularity="name", backend="Vitis", default_precision="fixed<24,10>")
        made = hls4ml.converters.convert_from_onnx_model(
            m, hls_config=config, output_dir=os.path.abspath(folder), backend="Vitis")
        made.compile()
        return made.predict(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).reshape(len(x), -1)


def text(v):
    return " ".join(f"{a:6.3f}" for a in v)


wrong, count = [], 0
for pool, before in (("MaxPool", "Conv"), ("GlobalMaxPool", "Conv"), ("GlobalAveragePool", "Conv"),
                     ("GlobalAveragePool", "")):
    m = model(pool, before)
    wanted, seen = in_qonnx(m, images), in_hls4ml(m, images, f"p{count}")
    count += 1
    same = bool(abs(wanted - seen).max() < 0.01)
    print(f"{pool:17} {'behind Conv' if before else 'first':11}: "
          f"qonnx {text(wanted[0])} | hls4ml {text(seen[0])}", flush=True)
    if not same:
        wrong.append((pool, before))
        # Channels first in memory, every C-th value taken together.
        mixed = images.reshape(len(images), -1, CHANNELS)
        mixed = mixed.max(1) if pool == "GlobalMaxPool" else mixed.mean(1)
        assert abs(mixed - seen).max() < 0.01, "not the behavior described"
assert wrong == [("GlobalMaxPool", "Conv"), ("GlobalAveragePool", "Conv"), ("GlobalAveragePool", "")], \
    "not the behavior described"
EOF
