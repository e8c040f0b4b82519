#!/usr/bin/env python3
"""Tests of tools/import_pytorch.py that need no PyTorch: the search for the tensors, the file."""

import json
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
