#!/usr/bin/env python3
"""Writes tests/images/golden/pillow.json: images as Pillow reads, converts and scales them.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install pillow==13.0.0
    /tmp/golden/bin/python tools/golden/pillow.py

PNG files are put together here, uncompressed: no version of zlib changes a byte.
"""

import io
import json
import pathlib
import struct
import zlib

import PIL
from PIL import Image


def noise(count, seed):
    state, values = seed, []
    for _ in range(count):
        state = (1103515245 * state + 12345) % 2**31
        values.append(state >> 16 & 255)
    return bytes(values)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def adler_stored(raw):
    """zlib's format with one stored block."""
    return (b"\x78\x01\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw +
            struct.pack(">I", zlib.adler32(raw)))


CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def scanlines(pixels, width, height, bits):
    """Rows of `bits` a pixel from packed ones, each behind the filter 0."""
    row = (width * bits + 7) // 8
    return b"".join(b"\0" + pixels[y * row:(y + 1) * row] for y in range(height))


def adam7(pixels, width, height, bytes_a_pixel):
    raw = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                           (1, 0, 2, 2), (0, 1, 1, 2)):
        for y in range(y0, height, dy):
            if x0 >= width:
                continue
            raw += b"\0"
            for x in range(x0, width, dx):
                at = (y * width + x) * bytes_a_pixel
                raw += pixels[at:at + bytes_a_pixel]
    return raw


def png(width, height, depth, color, seed, *, interlaced=False, before=()):
    bits = depth * CHANNELS[color]
    pixels = noise((width * bits + 7) // 8 * height, seed)
    raw = adam7(pixels, width, height, bits // 8) if interlaced else scanlines(pixels, width, height,
                                                                             bits)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(before) +
            chunk(b"IDAT", adler_stored(raw)) + chunk(b"IEND", b""))


def smooth(width, height, mode):
    """A picture that JPEG keeps almost as it is."""
    bands = len(mode)
    data = bytes((x * 7 + y * 11 + 60 * band) % 256 // 2 + 40 for y in range(height)
                 for x in range(width) for band in range(bands))
    return Image.frombytes(mode, (width, height), data)


def jpeg(width, height, mode, **options):
    out = io.BytesIO()
    smooth(width, height, mode).save(out, "JPEG", **options)
    return out.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # by a quarter, says the camera
    return exif.tobytes()


def files():
    palette = chunk(b"PLTE", noise(48, 5))
    return {
        "gray.png": png(5, 4, 8, 0, 1),
        "gray_1_bit.png": png(11, 3, 1, 0, 2),
        "gray_2_bits.png": png(5, 3, 2, 0, 3),
        "gray_4_bits.png": png(5, 3, 4, 0, 4),
        "gray_transparent.png": png(4, 4, 8, 0, 5, before=[chunk(b"tRNS", b"\0\x7f")]),
        "gray_alpha.png": png(4, 4, 8, 4, 6),
        "color.png": png(5, 4, 8, 2, 7),
        "color_16_bits.png": png(3, 4, 16, 2, 8),
        "color_alpha.png": png(4, 4, 8, 6, 9),
        "color_alpha_16_bits.png": png(3, 3, 16, 6, 10),
        "color_interlaced.png": png(9, 10, 8, 2, 11, interlaced=True),
        "color_gamma.png": png(4, 4, 8, 2, 12, before=[chunk(b"gAMA", struct.pack(">I", 100000))]),
        "palette.png": png(7, 3, 4, 3, 13, before=[palette]),
        "palette_transparent.png": png(7, 3, 4, 3, 14, before=[palette, chunk(b"tRNS", b"\0\x80")]),
        "gray.jpg": jpeg(9, 8, "L"),
        "color.jpg": jpeg(19, 17, "RGB"),
        "color_full.jpg": jpeg(8, 9, "RGB", subsampling=0),
        "color_progressive.jpg": jpeg(17, 9, "RGB", progressive=True),
        "color_turned.jpg": jpeg(8, 5, "RGB", exif=turned()),
        "cmyk.jpg": jpeg(8, 9, "CMYK"),
    }


def file_cases():
    for name, data in files().items():
        image = Image.open(io.BytesIO(data))
        gray = image.mode in ("1", "L", "LA")
        yield {"name": name, "file": data.hex(), "width": image.width, "height": image.height,
               "channels": 1 if gray else 3,
               "pixels": image.convert("L" if gray else "RGB").tobytes().hex(),
               "gray": image.convert("L").tobytes().hex()}


def fitted(image, side):
    """torchvision's Resize(side, antialias=True) and CenterCrop(side) on a Pillow image."""
    width, height = image.size
    if width <= height:
        size = side, int(side * height / width)
    else:
        size = int(side * width / height), side
    image = image.resize(size, Image.Resampling.BILINEAR)
    top, left = round((image.height - side) / 2.0), round((image.width - side) / 2.0)
    return image.crop((left, top, left + side, top + side)), size


def fit_cases():
    for number, (mode, width, height, side) in enumerate(
            [("L", 11, 7, 4), ("L", 5, 5, 8), ("RGB", 13, 13, 5), ("RGB", 9, 16, 8), ("L", 40, 3, 8),
             ("L", 3, 41, 8), ("RGB", 64, 48, 8), ("L", 9, 8, 8), ("L", 11, 8, 8), ("L", 8, 13, 8),
             ("RGB", 100, 37, 16), ("L", 1, 1, 3), ("L", 200, 1, 2)]):
        pixels = noise(width * height * len(mode), 100 + number)
        image, size = fitted(Image.frombytes(mode, (width, height), pixels), side)
        yield {"width": width, "height": height, "channels": len(mode), "side": side,
               "seed": 100 + number, "resized_to": size, "pixels": image.tobytes().hex()}


def main():
    document = {"made_by": "tools/golden/pillow.py, Pillow " + PIL.__version__,
                "files": list(file_cases()), "fits": list(fit_cases())}
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "images" / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pillow.json").write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
