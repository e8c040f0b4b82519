"""What is timed: the sides of a layer and of a network, each checked before it is timed."""
import numpy
import torch
from torch.nn import functional

from . import layers, networks, openvino_peer, packed_file, qhost, reference
from .turns import Calls, Difference, Reported

COPIES = 3  # of a layer in the longer one of two programs
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def images_of(batch, shape):
    random = numpy.random.default_rng(batch)
    return random.standard_normal((batch, *shape)).astype(numpy.float32)


class Checks:
    """Collects what does not compute what it should."""

    def __init__(self):
        self.failed = []

    def equal(self, what, value, expected, tolerance):
        """`tolerance` is relative to the largest expected value."""
        value, expected = numpy.asarray(value), numpy.asarray(expected)
        error = numpy.abs(value - expected).max() / max(numpy.abs(expected).max(), 1e-30)
        if not error <= tolerance:
            self.failed.append(f"{what}: differs by {error:.2g} of the largest value")

    def all_int8(self, what, kernels):
        if kernels:
            self.failed.append(f"{what}: computes in floats: {', '.join(sorted(set(kernels)))}")

    def alike(self, what, value, expected, similarity):
        """The cosine of the angle between the logits."""
        value, expected = numpy.ravel(value), numpy.ravel(expected)
        cosine = value @ expected / numpy.sqrt((value @ value) * (expected @ expected))
        if not cosine >= similarity:
            self.failed.append(f"{what}: the cosine to float32 is {cosine:.4f}")

    def mostly_equal(self, what, value, expected):
        """A value on a threshold may fall on either side: one image in four may differ."""
        worst = numpy.abs(value - expected).max(1) / numpy.abs(expected).max()
        if (worst > 1e-3).sum() > len(worst) // 4:
            self.failed.append(f"{what}: {(worst > 1e-3).sum()} of {len(worst)} images differ")


# ---- one binary convolution

def bound(library, program, batch, folder, checks, what):
    """A function that runs the program in the engine, after a comparison with the reference."""
    path = folder / "layer.safetensors"
    packed_file.write(program, path)
    runner = qhost.Runner(library, path)
    images = images_of(batch, runner.shape)
    call, out = runner.bind(images)
    call()
    expected = reference.compute(packed_file.read(path), torch.tensor(images)).numpy()
    checks.equal(f"qhost, {what}", out, expected, 1e-5)
    return call


def qhost_layer(library, layer_list, batch, folder, checks):
    size = f"{layer_list[0].channels} channels"

    def difference(name, make):
        more = bound(library, make(layer_list), batch, folder, checks, f"{name}, {size}")
        less = bound(library, make(layer_list[:1]), batch, folder, checks, f"{name}, {size}")
        return Difference(name, more, less, len(layer_list) - 1)
    return [difference("qhost bits", layers.chain),
            difference("qhost packs", lambda some: layers.parallel(some, packed_out=True)),
            difference("qhost floats", lambda some: layers.parallel(some, packed_out=False)),
            Calls("qhost call", bound(library, layers.whole(layer_list[0]), batch, folder, checks,
                                      f"call, {size}"))]


def sign_convolution(images, weights):
    """The sums of +-1, in float32: exact."""
    value = torch.tensor(images)
    for weight in weights:
        value = torch.where(value > 0, 1.0, -1.0)
        value = functional.pad(value, (1, 1, 1, 1), value=-1.0)
        value = functional.conv2d(value, torch.tensor(weight))
    return value.numpy()


def torch_layer(weight, images):
    sides = []
    for name, layout in LAYOUTS.items():
        x = torch.tensor(images).contiguous(memory_format=layout)
        w = torch.tensor(weight).contiguous(memory_format=layout)

        def call(x=x, w=w):
            with torch.inference_mode():
                return functional.conv2d(x, w, padding=1)
        sides.append(Calls(f"torch {name}", call))
    return sides


def chained(name, model, weights, images):
    """The last layers of a graph of them all: packed or u8 codes in and out."""
    batch, _, size, _ = images.shape
    more = openvino_peer.Request(model(weights, batch, size, False), images)
    less = openvino_peer.Request(model(weights[:1], batch, size, False), images)
    return Difference(name, more, less, len(weights) - 1)


def openvino_binary(weights, images, checks):
    batch, channels, size, _ = images.shape
    what = f"openvino binary, {channels} channels"
    expected, sides = sign_convolution(images, weights[:1]), []
    one, two = (openvino_peer.binary_model(weights[:n], batch, size, False) for n in (1, 2))
    nhwc = openvino_peer.binary_model(weights[:1], batch, size, True)
    for name, model in (("call", one), ("call to NHWC", nhwc)):
        request = openvino_peer.Request(model, images)
        value = request.output()
        value = value.transpose(0, 3, 1, 2) if model is nhwc else value
        checks.equal(f"{what}, {name}", value, expected, 0)
        sides.append(Calls(f"openvino binary {name}", request))
    request = openvino_peer.Request(two, images, profile=True)
    checks.equal(f"{what}, two layers", request.output(), sign_convolution(images, weights[:2]), 0)
    nodes = [kind for kind, _, _ in request.profile() if kind == "FakeQuantize"]
    if len(nodes) != 1:
        checks.failed.append(f"{what}: {len(nodes)} FakeQuantize nodes run, one was expected")
    layer = openvino_peer.sum_of(("FakeQuantize", "BinaryConvolution"))
    # The first of two writes bits.
    kernel = openvino_peer.first_of("BinaryConvolution")
    sides += [Reported("openvino binary layer", openvino_peer.profiled(one, images, layer)),
              Reported("openvino binary kernel", openvino_peer.profiled(two, images, kernel)),
              chained("openvino binary chain", openvino_peer.binary_model, weights, images)]
    return sides, request.kernels("BinaryConvolution")


def openvino_int8(images, checks):
    batch, channels, size, _ = images.shape
    what, step = f"openvino int8, {channels} channels", openvino_peer.STEP
    weights = [openvino_peer.int8_weight(channels, seed) for seed in range(COPIES)]
    codes = numpy.clip(numpy.rint(images / step), 0, 255)
    sums = functional.conv2d(torch.tensor(codes, dtype=torch.float64),
                             torch.tensor(weights[0], dtype=torch.float64), padding=1).numpy()
    exact = sums * step * openvino_peer.WEIGHT_STEP
    call = openvino_peer.Request(openvino_peer.int8_model(weights[:1], batch, size, True),
                                 images.transpose(0, 2, 3, 1))
    # A value between two codes may take either one.
    checks.equal(f"{what}, call", call.output().transpose(0, 3, 1, 2), exact, 5e-3)
    model = openvino_peer.int8_model(weights[:1], batch, size, False)
    request = openvino_peer.Request(model, images, profile=True)
    expected = numpy.clip(exact, 0, 255 * step)
    checks.equal(f"{what}, kernel", request.output(), expected, 2 * step / expected.max())
    checks.all_int8(what, request.not_int8())
    kernel = openvino_peer.first_of("Convolution")
    return [Calls("openvino int8 call", call),
            Reported("openvino int8 kernel", openvino_peer.profiled(model, images, kernel)),
            chained("openvino int8 chain", openvino_peer.int8_model, weights, images)
            ], request.kernels("Convolution")


def convolution(library, channels, size, batch, folder, checks):
    """The sides, and the peers' kernels by name."""
    layer_list = [layers.Layer(channels, size, seed) for seed in range(COPIES)]
    weights = [layer.weight for layer in layer_list]
    images = images_of(batch, (channels, size, size))
    binary, binary_kernels = openvino_binary(weights, images, checks)
    int8, int8_kernels = openvino_int8(images, checks)
    sides = qhost_layer(library, layer_list, batch, folder, checks)
    sides += torch_layer(weights[0], images) + binary + int8
    return sides, {"openvino binary": binary_kernels, "openvino int8": int8_kernels}


# ---- whole networks

def onnx_files(name, folder):
    """The model in PyTorch, and its files in float32 and in int8."""
    model = networks.build(name)
    float_file, int8_file = folder / f"{name}.onnx", folder / f"{name}.int8.onnx"
    if not int8_file.is_file():
        networks.export(model, float_file)
        networks.to_int8(float_file, int8_file)
    return model, float_file, int8_file


def peers_of(name, images, folder, checks):
    batch = len(images)
    model, float_file, int8_file = onnx_files(name, folder)
    expected = networks.eager(model, images, torch.contiguous_format)().numpy()
    sides = []
    for layout, memory_format in LAYOUTS.items():
        call = networks.eager(model, images, memory_format)
        checks.equal(f"torch {layout}, {name}", call().numpy(), expected, 1e-4)
        sides.append(Calls(f"torch {layout}", call))
    fp32 = openvino_peer.Request(openvino_peer.network(float_file, batch), images)
    checks.equal(f"openvino fp32, {name}", fp32.output(), expected, 1e-4)
    sides.append(Calls("openvino fp32", fp32))
    kernels = []
    for precision in ("f32", "bf16") if openvino_peer.has_bf16() else ("f32",):
        peer = f"openvino int8, rest {precision}"
        request = openvino_peer.Request(openvino_peer.network(int8_file, batch), images, precision)
        checks.alike(f"{peer}, {name}", request.output(), expected, 0.98)
        sides.append(Calls(peer, request))
        profiled = openvino_peer.Request(openvino_peer.network(int8_file, batch), images, precision,
                                         profile=True)
        checks.all_int8(f"{peer}, {name}", profiled.not_int8())
        kernels += profiled.kernels("Convolution")
    session = networks.Session(int8_file, images)
    checks.alike(f"onnxruntime int8, {name}", session(), expected, 0.98)
    checks.all_int8(f"onnxruntime int8, {name}", session.not_int8())
    sides.append(Calls("onnxruntime int8", session))
    return sides, {"openvino int8": sorted(set(kernels))}


def packed_sides(library, files, images, checks):
    """`files`: the paths of packed networks by the names of their sides."""
    sides = []
    for name, path in files.items():
        call, logits = qhost.Runner(library, path).bind(images)
        call()
        expected = reference.compute(packed_file.read(path), torch.tensor(images)).numpy()
        checks.mostly_equal(f"{name}, {path.stem}, batch {len(images)}", logits, expected)
        sides.append(Calls(name, call))
    return sides
