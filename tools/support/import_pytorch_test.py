#!/usr/bin/env python3
"""Tests of tools/import_pytorch.py that need no PyTorch: the search for the tensors, their
values, the file."""

import json
import math
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import import_pytorch as tool  # noqa: E402


class StateDict(unittest.TestCase):
    @staticmethod
    def find(content):
        return tool.find_state_dict(content, lambda value: isinstance(value, float))

    def test_it_may_lie_in_a_checkpoint(self):
        self.assertEqual(self.find({"a": 1.0}), {"a": 1.0})
        self.assertEqual(self.find({"module.layer1.0.a": 1.0}), {"module.layer1.0.a": 1.0})
        for key in ("state_dict", "model", "net"):
            self.assertEqual(self.find({key: {"a": 1.0}, "epoch": 3}), {"a": 1.0})

    def test_anything_else_says_what_it_is(self):
        for content, message in (([1.0], "holds a list"), ({}, "it is empty"),
                                 ({"epoch": 3}, "'epoch' is no tensor")):
            with self.assertRaisesRegex(tool.NoStateDict, message):
                self.find(content)


class Flags(list):
    def sum(self):
        return sum(map(bool, self))


class Tensor:
    """The part of torch.Tensor that the check of values uses."""

    def __init__(self, values, dtype="torch.float64"):
        self.values, self.dtype = values, dtype

    def numel(self):
        return len(self.values)

    def is_floating_point(self):
        return "float" in self.dtype

    def isnan(self):
        return Flags(map(math.isnan, self.values))

    def isinf(self):
        return Flags(map(math.isinf, self.values))

    def __lt__(self, other):
        return Flags(value < other for value in self.values)

    def float(self):
        largest = 3.4028234663852886e38
        return Tensor([math.inf if abs(value) > largest else value for value in self.values])


class Values(unittest.TestCase):
    def test_what_no_trained_network_has_is_counted(self):
        for name, values, expected in (
                ("a", [1.0, -2.0], []),
                ("a", [math.nan, 1.0, math.nan], ["2 of 3 values are nan"]),
                ("a", [-math.inf, 1.0], ["1 of 2 values is infinite"]),
                ("a", [1e300, math.inf, 1.0, -1e39],
                 ["1 of 4 values is infinite", "2 of 4 values are beyond float32"]),
                ("bn.running_var", [0.0, -1.0, 3.0], ["1 of 3 values is negative"]),
                ("bn.running_mean", [-1.0], [])):
            self.assertEqual(tool.wrong_values(name, Tensor(values)), expected, name)

    def test_integers_are_no_weights(self):
        self.assertEqual(tool.wrong_values("fc.weight", Tensor([1, 2], "torch.int8")),
                         ["2 values of type int8"])
        self.assertEqual(tool.wrong_values("bn.num_batches_tracked", Tensor([7], "torch.int64")), [])


class File(unittest.TestCase):
    def test_offsets_follow_the_header(self):
        raw = struct.pack("<6f", *range(6))
        blob = tool.safetensors({"b": ((2, 3), raw), "a": ((1,), raw[:4])})
        (length,) = struct.unpack("<Q", blob[:8])
        self.assertEqual(length % 8, 0)
        header = json.loads(blob[8:8 + length])
        self.assertEqual(header["a"], {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
        self.assertEqual(header["b"]["data_offsets"], [4, 28])
        self.assertEqual(blob[8 + length + 4:], raw)


if __name__ == "__main__":
    unittest.main()
