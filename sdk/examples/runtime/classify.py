#!/usr/bin/env python3
"""classify.py NET.safetensors IMAGE.png: the class of an image, by libqhost_runtime through ctypes.

Needs no package. QHOST_RUNTIME_LIBRARY names the library (default libqhost_runtime.so.1).
"""
import ctypes
import os
import struct
import sys
import zlib


def read_png(path):
    """Height, width, channels and bytes of a gray or RGB image of 8 bits without interlacing."""
    data = open(path, "rb").read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit(f"{path} is no PNG")
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", body)
        packed += body if kind == b"IDAT" else b""
        at += length + 12
    if depth != 8 or color not in (0, 2) or interlaced:
        sys.exit(f"{path} is no gray or RGB image of 8 bits without interlacing")
    channels = 1 if color == 0 else 3
    rows, row = zlib.decompress(packed), width * channels
    before, pixels = bytes(row), b""
    for y in range(height):
        kind, line = rows[y * (row + 1)], bytearray(rows[y * (row + 1) + 1:(y + 1) * (row + 1)])
        for i in range(row):
            left = line[i - channels] if i >= channels else 0
            corner = before[i - channels] if i >= channels else 0
            up = before[i]
            base = left + up - corner
            near = min((abs(base - left), 0, left), (abs(base - up), 1, up), (abs(base - corner), 2, corner))
            line[i] = (line[i] + [0, left, up, (left + up) // 2, near[2]][kind]) % 256
        before = bytes(line)
        pixels += before
    return (channels, height, width), pixels


class Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1024)]


def library():
    lib = ctypes.CDLL(os.environ.get("QHOST_RUNTIME_LIBRARY", "libqhost_runtime.so.1"))
    pointer, error = ctypes.c_void_p, ctypes.POINTER(Error)
    for name, result, arguments in [
            ("qhost_model_load", pointer, [ctypes.c_char_p, error]),
            ("qhost_model_free", None, [pointer]),
            ("qhost_model_input", None, [pointer, ctypes.POINTER(ctypes.c_size_t)]),
            ("qhost_model_classes", ctypes.c_size_t, [pointer]),
            ("qhost_model_class_name", ctypes.c_char_p, [pointer, ctypes.c_size_t]),
            ("qhost_normalize", None, [pointer, ctypes.c_char_p, ctypes.POINTER(ctypes.c_float)]),
            ("qhost_runner_new", pointer, [pointer, ctypes.c_int, error]),
            ("qhost_runner_free", None, [pointer]),
            ("qhost_runner_run", None, [pointer, ctypes.POINTER(ctypes.c_float), ctypes.c_size_t,
                                        ctypes.POINTER(ctypes.c_float)])]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def main(net, path):
    lib, error = library(), Error()
    model = lib.qhost_model_load(os.fsencode(net), error)
    runner = model and lib.qhost_runner_new(model, 1, error)
    if not runner:
        sys.exit(error.text.decode(errors="replace"))
    wanted = (ctypes.c_size_t * 3)()
    lib.qhost_model_input(model, wanted)
    shape, pixels = read_png(path)
    if shape != tuple(wanted):
        sys.exit(f"{path} has {shape} channels, rows and columns; the network wants {tuple(wanted)}")
    image = (ctypes.c_float * len(pixels))()
    logits = (ctypes.c_float * lib.qhost_model_classes(model))()
    lib.qhost_normalize(model, pixels, image)
    lib.qhost_runner_run(runner, image, 1, logits)
    best = max(range(len(logits)), key=lambda i: logits[i])
    name = lib.qhost_model_class_name(model, best)
    print(best, name.decode() if name else "-", f"{logits[best]:.6f}")
    lib.qhost_runner_free(runner)
    lib.qhost_model_free(model)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("classify.py NET.safetensors IMAGE.png")
    main(*sys.argv[1:])
