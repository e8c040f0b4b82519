"""Packed networks as docs/packed-format.md describes them, written and read with NumPy alone."""
import json
import pathlib
import struct

import numpy

DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "U16": "<u2", "U8": "u1", "I8": "i1"}
NAMES = {numpy.dtype(code): name for name, code in DTYPES.items()}


class Program:
    """Steps, and their tensors by name."""

    def __init__(self, steps=(), tensors=None, output=0):
        self.steps, self.tensors, self.output = list(steps), dict(tensors or {}), output

    def add(self, name, op, inputs=(), tensors=None, **keys):
        """Appends a step and returns its index. It is the output until another one is added."""
        step = {"name": name, "op": op, **({"in": list(inputs)} if inputs else {}), **keys}
        for key, value in (tensors or {}).items():
            self.tensors[f"{name}.{key}"] = value
        self.steps.append(step)
        self.output = len(self.steps) - 1
        return self.output

    def values(self, step, key):
        """The LIST under `key` of a step (or of its `weight` or `codes`), or None."""
        name = step["name"]
        if key in ("scale", "bias") and f"{name}.affine" in self.tensors:
            return self.tensors[f"{name}.affine"][("scale", "bias").index(key)]
        where, _, inner = key.rpartition(".")
        stored = {"weight.": "", "codes.": "code_"}.get(where + ".", "") + inner
        if f"{name}.{stored}" in self.tensors:
            return self.tensors[f"{name}.{stored}"]
        holder = step.get(where, {}) if where else step
        return numpy.array(holder[inner]) if inner in holder else None


def pack_bits(levels):
    """-1 and +1 as bits, the lowest first."""
    return numpy.packbits(numpy.ravel(levels) > 0, bitorder="little")


def unpack(data, count, bits):
    """`count` codes of `bits` bits."""
    flat = numpy.unpackbits(data, bitorder="little")[:count * bits].reshape(count, bits)
    return (flat.astype(numpy.int64) << numpy.arange(bits)).sum(axis=1)


def write(program, path, name="layer"):
    provenance = {"name": name, "classes": [], "mean": [], "std": [], "more": {}}
    meta = {"format": "qhost packed network", "version": "1",
            "program": json.dumps({"steps": program.steps, "output": program.output}),
            "provenance": json.dumps(provenance)}
    header, data, at = {"__metadata__": meta}, [], 0
    for key, value in program.tensors.items():
        raw = numpy.ascontiguousarray(value).tobytes()
        header[key] = {"dtype": NAMES[value.dtype], "shape": list(value.shape),
                       "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def read(path):
    raw = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    meta = header.pop("__metadata__")
    if meta["format"] != "qhost packed network" or meta["version"] != "1":
        raise ValueError(f"{path} is not a packed network of version 1")
    content, tensors = json.loads(meta["program"]), {}
    for key, entry in header.items():
        first, last = entry["data_offsets"]
        array = numpy.frombuffer(raw[start + first:start + last], DTYPES[entry["dtype"]])
        tensors[key] = array.reshape(entry["shape"])
    return Program(content["steps"], tensors, content["output"])
