#!/usr/bin/env bash
# tract 0.23.9, numpy 2.4.6, onnx 1.23.2, onnxruntime 1.32.0 (CPU)
#
# Expected: a network whose outputs are quantized probabilities (DequantizeLinear, Softmax, QuantizeLinear) gives in
# tract what onnx's reference evaluator and onnxruntime give: to a step of the output. tract runs quantized
# convolutions, sums and activations so.
#
# Instead: between the two, tract treats Softmax as a function of single values and makes a table of 256 codes of
# it. The softmax of one value is 1, so that every class gets the highest probability, whatever the input is;
# LogSoftmax gives 0 everywhere. No error. Only a Softmax with 8-bit codes on both sides is hit: with float on
# one side, or with an unquantized Mul by 1 before it, the same layer is right.
#
# Hurts: everyone who runs fully quantized classifiers or attention (which quantizers write in just this form) in tract:
# all classes are equal, and argmax says class 0.
#
# Seen:
#     reference, 8-bit codes before and after: 0.125 0.203 0.027 0.566 0.074
#     Softmax,    float before, float after    tract 0.126 0.207 0.028 0.563 0.076
#     Softmax,    uint8 before, float after    tract 0.126 0.204 0.028 0.566 0.076
#     Softmax,    float before, uint8 after    tract 0.125 0.207 0.027 0.562 0.078
#     Softmax,    uint8 before, uint8 after    tract 0.996 0.996 0.996 0.996 0.996
#     Softmax,    int8  before, int8  after    tract 0.996 0.996 0.996 0.996 0.996
#     LogSoftmax, uint8 before, uint8 after    tract 0.000 0.000 0.000 0.000 0.000
#     Sigmoid,    uint8 before, uint8 after    tract 0.625 0.730 0.270 0.883 0.500
#     Softmax behind a Mul by 1, uint8         tract 0.125 0.203 0.027 0.566 0.074
#     1,000 random inputs: argmax is the reference's in 22 % (onnxruntime: 100 %), and class 0 in 100 %
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    tract==0.23.9 numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import numpy as np
import onnx
import onnxruntime as ort
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def model(operator, before, after, rows=1, mul=False):
    """operator over 5 classes, with an 8-bit pair before and after it where a type is given."""
    nodes, constants, last = [], [], "x"

    def constant(v):
        constants.append(numpy_helper.from_array(np.asarray(v), f"c{len(constants)}"))
        return constants[-1].name

    def node(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"t{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def pair(x, kind, scale, zero):
        s, z = constant(np.float32(scale)), constant(kind(zero))
        return node("DequantizeLinear", node("QuantizeLinear", x, s, z), s, z)

    if before:
        last = pair(last, before, 0.03, 0 if before is np.int8 else 128)
    if mul:
        last = node("Mul", last, "one")
    last = node(operator, last, **({} if operator == "Sigmoid" else {"axis": 1}))
    if after:
        low = np.iinfo(after).max if operator == "LogSoftmax" else np.iinfo(after).min
        last = pair(last, after, 1 / 32 if operator == "LogSoftmax" else 1 / 256, low)
    nodes[-1].output[0] = "y"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 5])]
    if mul:  # an input, so that nobody folds the product
        inputs.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, [1, 1]))
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 5])], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


ONE = np.ones((1, 1), np.float32)


def fed(m, x):
    return dict(zip([i.name for i in m.graph.input], [x, ONE]))


def in_reference(m, x):
    return ReferenceEvaluator(m).run(None, fed(m, x))[0]


def in_onnxruntime(m, x):
    session = ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, fed(m, x))[0]


def in_tract(m, x):
    onnx.save(m, "m.onnx")
    made = tract.onnx().load("m.onnx").into_model().into_runnable()
    return made.run(list(fed(m, x).values()))[0].to_numpy()


def text(v):
    return " ".join(f"{a + 0.0:.3f}" for a in v.ravel())


x = np.float32([[0.5, 1, -1, 2, 0]])
print("reference, 8-bit codes before and after:", text(in_reference(model("Softmax", np.uint8, np.uint8), x)))
wrong = []
for operator, before, after, mul in (
        ("Softmax", None, None, False), ("Softmax", np.uint8, None, False),
        ("Softmax", None, np.uint8, False), ("Softmax", np.uint8, np.uint8, False),
        ("Softmax", np.int8, np.int8, False), ("LogSoftmax", np.uint8, np.uint8, False),
        ("Sigmoid", np.uint8, np.uint8, False), ("Softmax", np.uint8, np.uint8, True)):
    m = model(operator, before, after, mul=mul)
    got, wanted = in_tract(m, x), in_reference(m, x)
    assert abs(in_onnxruntime(m, x) - wanted).max() < 0.04
    title = (f"{operator} behind a Mul by 1, uint8" if mul else
             f"{operator + ',':11} {before.__name__ if before else 'float':5} before, "
             f"{after.__name__ if after else 'float':5} after")
    print(f"{title:40} tract {text(got)}")
    if abs(got - wanted).max() > 0.04:
        wrong.append((operator, before, after, mul))
        assert np.ptp(got) == 0, "not the behavior described"
assert wrong == [("Softmax", np.uint8, np.uint8, False), ("Softmax", np.int8, np.int8, False),
                 ("LogSoftmax", np.uint8, np.uint8, False)], "not the behavior described"

m = model("Softmax", np.uint8, np.uint8, rows=1000)
x = np.random.default_rng(0).standard_normal((1000, 5)).astype(np.float32)
classes = [f(m, x).argmax(1) for f in (in_reference, in_tract, in_onnxruntime)]
print(f"1,000 random inputs: argmax is the reference's in {100 * (classes[1] == classes[0]).mean():.0f} % "
      f"(onnxruntime: {100 * (classes[2] == classes[0]).mean():.0f} %), "
      f"and class 0 in {100 * (classes[1] == 0).mean():.0f} %")
assert (classes[1] == 0).all() and (classes[2] == classes[0]).mean() > 0.97, "not the behavior described"
EOF
