"""What a packed network computes, by docs/packed-format.md alone and with PyTorch.

Only the operations that the compared networks use. Slow, and independent of the engine.
"""
import numpy
import torch
from torch.nn import functional

from . import packed_file


def pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def over_channels(list_, x):
    """One number, or one for each channel, beside a batch."""
    values = torch.tensor(numpy.array(list_), dtype=torch.float32)
    return values.reshape(1, -1, *[1] * (x.dim() - 2))


def levels_of(program, step, place, codes):
    """`place`: weight or codes. A weight's zero points are those of its first dimension."""
    kind = step[place]["kind"]
    if kind == "binary":
        return 2.0 * codes - 1
    if kind == "ternary":
        return codes - 1.0
    if kind != "uniform":
        raise ValueError(f"{step['name']}: {kind} is not written here")
    zero = program.values(step, f"{place}.zero_point")
    if zero is None:
        return codes + 0.0
    if place == "codes":
        return codes - over_channels(zero, codes) / 2
    return codes - over_channels(zero, codes.transpose(0, 1)).transpose(0, 1) / 2


def weight_of(program, step):
    weight, stored = step["weight"], program.tensors[step["name"] + ".weight"]
    shape = weight["shape"]
    if weight["kind"] in ("float32", "float16"):
        return torch.tensor(stored.astype(numpy.float32))
    bits = {"binary": 1, "ternary": 2}.get(weight["kind"]) or weight["bits"]
    codes = packed_file.unpack(stored, int(numpy.prod(shape)), bits).reshape(shape)
    return levels_of(program, step, "weight", torch.tensor(codes, dtype=torch.float32))


def unit(program, step, place):
    zero = program.values(step, f"{place}.zero_point")
    return 2 if zero is not None and (numpy.array(zero) % 2 != 0).any() else 1


def codes_of(program, step, x, factor=1):
    """How many thresholds direction * factor * x reaches."""
    thresholds = numpy.array(program.values(step, "threshold"), dtype=numpy.float32)
    direction = program.values(step, "direction")
    x = x * factor if direction is None else x * factor * over_channels(direction, x)
    kind = step["codes"]["kind"]
    count = {"binary": 2, "ternary": 3}.get(kind) or 2 ** step["codes"]["bits"]
    rows = thresholds.reshape(-1, count - 1)
    codes = torch.zeros_like(x)
    for j in range(rows.shape[1]):
        codes += x >= over_channels(rows[:, j], x)
    return levels_of(program, step, "codes", codes)


def weighted_sum(program, step, x):
    weight = weight_of(program, step)
    if step["op"] == "linear":
        return functional.linear(x, weight)
    height, width = pair(step.get("pad", 0))
    x = functional.pad(x, (width, width, height, height), value=float(step.get("pad_level", 0)))
    return functional.conv2d(x, weight, stride=pair(step.get("stride", 1)),
                             groups=step.get("groups", 1))


def weighted(program, step, x, source):
    y = weighted_sum(program, step, x)
    if "codes" in step:
        units = unit(program, step, "weight") * unit(program, source, "codes")
        return codes_of(program, step, y, units)
    if step.get("position"):
        raise ValueError(f"{step['name']}: position is not written here")
    scale, bias = program.values(step, "scale"), program.values(step, "bias")
    y = y if scale is None else y * over_channels(scale, y)
    return y if bias is None else y + over_channels(bias, y)


def subsampled(step, x):
    height, width = pair(step.get("stride", 1))
    x = x[:, :, ::height, ::width]
    missing = step["channels"] - x.shape[1]
    return functional.pad(x, (0, 0, 0, 0, missing // 2, missing - missing // 2))


def compute(program, images):
    """The logits. Codes are kept as their levels."""
    values = []
    for step in program.steps:
        op, read = step["op"], [values[i] for i in step.get("in", [])]
        source = program.steps[step["in"][0]] if read else None
        if op == "input":
            value = images
        elif op == "encode":
            value = codes_of(program, step, read[0])
        elif op == "decode":
            scale = program.values(source, "codes.scale")
            value = read[0] if scale is None else read[0] * over_channels(scale, read[0])
        elif op in ("conv2d", "linear"):
            value = weighted(program, step, read[0], source)
        elif op == "affine":
            value = (read[0] * over_channels(program.values(step, "scale"), read[0]) +
                     over_channels(program.values(step, "bias"), read[0]))
        elif op == "activation" and step["kind"] == "relu":
            value = functional.relu(read[0])
        elif op == "add":
            value = sum(read[1:], read[0])
        elif op == "concat":
            value = torch.cat(read, 1)
        elif op == "global_average_pool":
            value = read[0].mean((2, 3))
        elif op == "subsample":
            value = subsampled(step, read[0])
        elif op == "flatten":
            value = read[0].flatten(1)
        else:
            raise ValueError(f"{step['name']}: {op} is not written here")
        values.append(value)
    return values[program.output]
