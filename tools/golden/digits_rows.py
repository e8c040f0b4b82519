#!/usr/bin/env python3
"""Writes framework/data/digits/digits_rows.inc from digits.csv.gz beside it.

A row of the output is one image: 64 pixels 0..16 as the digits 0-9a-g, then the label. With --check
nothing is written: the exit status is 1 when the file differs from what would be written.
"""
import gzip
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "framework" / "data" / "digits"
PIXEL = "0123456789abcdefg"


def rows():
    with gzip.open(FOLDER / "digits.csv.gz", "rt", encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            *pixels, label = (int(field) for field in line.split(","))
            if len(pixels) != 64 or not all(0 <= p <= 16 for p in pixels) or not 0 <= label <= 9:
                sys.exit(f"digits.csv.gz:{number}: not 64 pixels 0..16 and a label 0..9")
            yield "".join(PIXEL[p] for p in pixels) + str(label)


def main():
    text = "// Made by tools/golden/digits_rows.py from digits.csv.gz.\n"
    text += "".join(f'"{row}",\n' for row in rows())
    target = FOLDER / "digits_rows.inc"
    if sys.argv[1:] == ["--check"]:
        if not target.exists() or target.read_text(encoding="ascii") != text:
            sys.exit(f"{target} differs from what {sys.argv[0]} makes; run it without --check")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        target.write_text(text, encoding="ascii")


main()
