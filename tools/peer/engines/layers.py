"""Packed programs around one binary 3x3 convolution, padded with -1.

The value of a program is features, so that a program is more than the layer. `parallel` and `chain`
give programs that hold the layer several times: the difference of two of them is the layer alone.
"""
import numpy

from .packed_file import Program, pack_bits


class Layer:
    """Weights of C filters of C channels, a scale and a bias for each."""

    def __init__(self, channels, size, seed):
        random = numpy.random.default_rng([channels, seed])
        self.channels, self.size = channels, size
        self.weight = random.choice([-1, 1], (channels, channels, 3, 3)).astype(numpy.float32)
        scale = random.uniform(0.5, 1.5, channels)
        self.affine = numpy.array([scale, random.normal(0, 4, channels)], numpy.float32)
        self.threshold = random.integers(-8, 8, (channels, 1)).astype(numpy.int32)

    def add(self, program, name, source, packed_out):
        tensors = {"weight": pack_bits(self.weight)}
        keys = {"weight": {"kind": "binary", "shape": list(self.weight.shape)}, "pad": 1,
                "pad_level": -1}
        if packed_out:
            tensors["threshold"], keys["codes"] = self.threshold, {"kind": "binary"}
        else:
            tensors["affine"] = self.affine
        return program.add(name, "conv2d", [source], tensors, **keys)


def sign(program, name, source):
    return program.add(name, "encode", [source], codes={"kind": "binary"}, threshold=[0.0])


def first_pixel(program, name, source, layer, packed):
    """One number of one pixel: reads a value and costs next to nothing."""
    shape = [1, layer.channels, 1, 1]
    weight = numpy.ones(shape, numpy.float32)
    kind = "binary" if packed else "float32"
    tensors = {"weight": pack_bits(weight) if packed else weight}
    return program.add(name, "conv2d", [source], tensors, weight={"kind": kind, "shape": shape},
                       stride=layer.size)


def whole(layer):
    """Float image, sign, convolution, float image."""
    program = Program()
    image = program.add("image", "input", shape=[layer.channels, layer.size, layer.size])
    value = layer.add(program, "conv", sign(program, "sign", image), packed_out=False)
    program.add("out", "flatten", [value])
    return program


def parallel(layers, packed_out):
    """Each layer takes the sign of the same float image, and writes floats or bits."""
    program, picked = Program(), []
    first = layers[0]
    image = program.add("image", "input", shape=[first.channels, first.size, first.size])
    for i, layer in enumerate(layers):
        value = layer.add(program, f"conv{i}", sign(program, f"sign{i}", image), packed_out)
        picked.append(first_pixel(program, f"pixel{i}", value, layer, packed_out))
    if len(picked) > 1:
        picked = [program.add("all", "concat", picked)]
    program.add("out", "flatten", picked)
    return program


def chain(layers):
    """Bits to bits, one layer after the other, behind a cheap layer that makes the first bits."""
    program, first = Program(), layers[0]
    image = program.add("image", "input", shape=[8, first.size, first.size])
    shape = [first.channels, 8, 1, 1]
    weight = numpy.random.default_rng(5).choice([-1, 1], shape)
    zeros = numpy.zeros((first.channels, 1), numpy.int32)
    value = program.add("wide", "conv2d", [sign(program, "sign", image)],
                        {"weight": pack_bits(weight), "threshold": zeros},
                        weight={"kind": "binary", "shape": shape}, codes={"kind": "binary"})
    for i, layer in enumerate(layers):
        value = layer.add(program, f"conv{i}", value, packed_out=True)
    program.add("out", "flatten", [first_pixel(program, "pixel", value, first, packed=True)])
    return program
