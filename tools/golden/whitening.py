#!/usr/bin/env python3
"""Writes tests/golden/whitening/gcn_zca.json: a few tiny images, contrast-normalized and whitened.

An independent implementation of the formulas (framework/data/whiten.h), image by image; the inverse
root comes from the singular values of the images instead of a covariance's eigenvalues.
The results are rounded to six decimals, so that any LAPACK gives the same file.

    python3 -m venv /tmp/golden && /tmp/golden/bin/pip install numpy
    /tmp/golden/bin/python tools/golden/whitening.py
"""

import json
import math
import pathlib

import numpy

SHAPE = (3, 2, 3)
SIZE = math.prod(SHAPE)
TRAIN, TEST = 30, 3
CASES = [
    {},
    {"gcn_subtract_mean": False, "zca_filter_bias": 0.01},
    # Coates, Lee and Ng; an image keeps its own scale.
    {"gcn_scale": 1.0, "gcn_use_std": True, "gcn_sqrt_bias": 10.0},
    # Images with a contrast are divided, pale ones are not.
    {"gcn_scale": 2.0, "gcn_min_divisor": 70.0, "zca_filter_bias": 5.0},
]


def pixels():
    """Neighbors are similar, contrasts differ, and one image of each part has no contrast."""
    state, images = 12345, []
    for number in range(TRAIN + TEST):
        values = []
        for _ in range(SIZE):
            state = (1103515245 * state + 12345) % 2**31
            values.append(state >> 16 & 255)
        contrast = 1 + number % 4
        image = [(values[i] + values[i - 1] * 2) // 3 * contrast // 4 for i in range(SIZE)]
        images.append([90] * SIZE if number in (7, TRAIN + 1) else image)
    return images


def contrast_normalized(image, case):
    mean = sum(image) / SIZE if case.get("gcn_subtract_mean", True) else 0.0
    g = [x - mean for x in image]
    if case.get("gcn_use_std", False):
        center = sum(g) / SIZE
        spread = sum((x - center) ** 2 for x in g) / (SIZE - 1)
    else:
        spread = sum(x * x for x in g)
    divisor = math.sqrt(case.get("gcn_sqrt_bias", 0.0) + spread) / case.get("gcn_scale", 55.0)
    return g if divisor < case.get("gcn_min_divisor", 1e-8) else [x / divisor for x in g]


def whitened(images, case):
    rows = numpy.array([contrast_normalized(image, case) for image in images])
    train = rows[:TRAIN]
    mean = train.sum(0) / TRAIN
    bias = case.get("zca_filter_bias", 0.1)
    _, singular, directions = numpy.linalg.svd(train - mean, full_matrices=False)
    # In a direction without variance, the factor is 1 / sqrt(bias).
    factors = 1 / numpy.sqrt(singular**2 / TRAIN + bias) - 1 / math.sqrt(bias)
    centered = rows - mean
    return centered / math.sqrt(bias) + (centered @ directions.T * factors) @ directions


def main():
    images = pixels()
    cases = []
    for case in CASES:
        values = whitened(images, case)
        assert numpy.isfinite(values).all()
        # No -0.0, whose sign would be arbitrary.
        cases.append({"options": case, "whitened": [[round(float(v), 6) + 0.0 for v in row]
                                                    for row in values]})
    document = {"made_by": "tools/golden/whitening.py, NumPy " + numpy.__version__, "shape": SHAPE,
                "train": TRAIN, "test": TEST, "pixels": images, "cases": cases}
    folder = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden" / "whitening"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gcn_zca.json").write_text(json.dumps(document, separators=(",", ":")) + "\n",
                                         encoding="ascii")


if __name__ == "__main__":
    main()
