#!/usr/bin/env python3
"""Writes tests/data/golden/numpy_choice.json: draws of NumPy's legacy generator.

Needs NumPy. RandomState is frozen by NumPy's compatibility policy, so any version gives this file.
"""
import json
import pathlib

import numpy

TARGET = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "golden"
CHOICES = [(42, 5000, 1000), (42, 1000, 200), (42, 1000, 1000), (0, 1, 1), (7, 2, 2), (1, 65537, 50),
           (4294967295, 100, 100)]
SHUFFLES = [(2147483647, 50000, 100)]


def main():
    golden = {"choices": [], "shuffles": []}
    for seed, n, size in CHOICES:
        drawn = numpy.random.RandomState(seed=seed).choice(n, size, replace=False)
        golden["choices"].append({"seed": seed, "n": n, "size": size, "drawn": drawn.tolist()})
    for seed, n, head in SHUFFLES:
        values = list(range(n))
        numpy.random.RandomState(seed=seed).shuffle(values)
        # A sum that depends on every position represents the whole order.
        weighted = sum(i * v for i, v in enumerate(values))
        golden["shuffles"].append({"seed": seed, "n": n, "head": values[:head], "weighted": weighted})
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / "numpy_choice.json").write_text(json.dumps(golden) + "\n", encoding="ascii")


main()
