"""OpenVINO on one thread: its graphs of one layer, whole networks, and its own profile."""
import numpy
import openvino
from openvino import opset1, opset13

core = openvino.Core()
WARM = 3  # calls in front of those whose profile counts
# Arrays that constants of a model read where they lie.
memory = []


def has_bf16():
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Request:
    """A compiled model and its input, which no call copies."""

    def __init__(self, model, images, precision="f32", profile=False):
        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERF_COUNT": profile,
                    "INFERENCE_PRECISION_HINT": precision}
        self.compiled = core.compile_model(model, "CPU", settings)
        self.request = self.compiled.create_infer_request()
        self.images = numpy.ascontiguousarray(images, numpy.float32)
        self.request.set_input_tensor(openvino.Tensor(self.images, shared_memory=True))

    def __call__(self):
        self.request.infer(share_outputs=True)

    def output(self):
        self()
        return self.request.get_output_tensor(0).data.copy()

    def profile(self):
        """(type, kernel, seconds) of what ran; the mean of all calls since the compilation."""
        return [(node.node_type, node.exec_type, node.real_time.total_seconds())
                for node in self.request.profiling_info if node.real_time.total_seconds() > 0]

    def not_int8(self):
        """Kernels of convolutions and matrix products that compute in floats."""
        self()
        return [f"{kind} {kernel}" for kind, kernel, _ in self.profile()
                if kind in ("Convolution", "MatMul", "FullyConnected")
                and not kernel.lower().endswith("i8")]

    def kernels(self, kind):
        self()
        return sorted({kernel for node, kernel, _ in self.profile() if node == kind})


def profiled(model, images, pick):
    """A function of the number of calls that returns seconds; pick(profile) chooses which.

    The profile has means of whole microseconds over all calls of a compiled model. One that is
    compiled anew has few of them, so that their sum is known.
    """
    def seconds(calls):
        request = Request(model, images, profile=True)
        for _ in range(WARM):
            request()
        before = WARM * pick(request.profile())
        for _ in range(calls):
            request()
        return ((WARM + calls) * pick(request.profile()) - before) / calls
    return seconds


def first_of(kind):
    return lambda profile: next(seconds for node, _, seconds in profile if node == kind)


def sum_of(kinds):
    return lambda profile: sum(seconds for node, _, seconds in profile if node in kinds)


def number(value):
    return numpy.float32(value)


def binary_model(weights, batch, size, nhwc):
    """FakeQuantize and BinaryConvolution of +-1 weights, in turn; with `nhwc`, the result is NHWC.

    The codes of FakeQuantize must be 0 and 1. With the outputs -1 and 1, OpenVINO 2026.4 puts a
    slow conversion between the two, and the sums are wrong. A second FakeQuantize becomes part of
    the convolution in front of it, which then writes bits.
    """
    channels = weights[0].shape[0]
    image = opset13.parameter([batch, channels, size, size], numpy.float32)
    value = image
    for weight in weights:
        value = opset13.fake_quantize(value, number(0), number(0), number(0), number(1), 2)
        bits = numpy.packbits(weight.ravel() > 0, bitorder="little")
        memory.append(bits)
        constant = openvino.op.Constant(
            openvino.Tensor(bits, openvino.Shape(weight.shape), openvino.Type.u1))
        value = opset1.binary_convolution(value, constant, [1, 1], [1, 1], [1, 1], [1, 1],
                                          "xnor-popcount", -1.0)
    # A transposed input in front of this graph crashes OpenVINO 2026.4.
    if nhwc:
        value = opset13.transpose(value, [0, 2, 3, 1])
    return openvino.Model([value], [image])


STEP, WEIGHT_STEP = 0.02, 0.01


def int8_weight(channels, seed):
    random = numpy.random.default_rng([channels, seed])
    return random.integers(-127, 128, (channels, channels, 3, 3)).astype(numpy.int8)


def int8_model(weights, batch, size, nhwc):
    """u8 x s8 convolutions of a float image; with `nhwc`, NHWC floats in and out, else codes."""
    channels = weights[0].shape[0]
    shape = [batch, size, size, channels] if nhwc else [batch, channels, size, size]
    image = opset13.parameter(shape, numpy.float32)
    value = opset13.transpose(image, [0, 3, 1, 2]) if nhwc else image
    top = number(255 * STEP)

    def quantize(value):
        return opset13.fake_quantize(value, number(0), top, number(0), top, 256)
    for weight in weights:
        step = opset13.constant(numpy.full((channels, 1, 1, 1), WEIGHT_STEP, numpy.float32))
        kernel = opset13.multiply(opset13.convert(opset13.constant(weight), "f32"), step)
        value = opset13.convolution(quantize(value), kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    value = opset13.transpose(value, [0, 2, 3, 1]) if nhwc else quantize(value)
    return openvino.Model([value], [image])


def network(path, batch):
    """The model of an ONNX file, for this many images at once."""
    model = core.read_model(path)
    model.reshape([batch, 3, 32, 32])
    return model
