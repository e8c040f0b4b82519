#!/usr/bin/env python3
"""Tests of tools/import_pytorch.py that need no PyTorch: names, the search for the tensors, the file."""

import json
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import import_pytorch as tool  # noqa: E402


class Names(unittest.TestCase):
    def test_published_names_become_the_plugins(self):
        for name, expected in {
            "conv1.weight": "conv1.weight",
            "module.bn1.running_mean": "bn1.running_mean",
            "layer3.2.conv2.weight": "stage3.block2.conv2.weight",
            "layer2.0.shortcut.0.weight": "stage2.block0.shortcut.conv.weight",
            "layer2.0.shortcut.1.running_var": "stage2.block0.shortcut.bn.running_var",
            "layer2.0.downsample.0.weight": "stage2.block0.shortcut.conv.weight",
            "linear.bias": "fc.bias",
            "fc.weight": "fc.weight",
        }.items():
            self.assertEqual(tool.qhost_name(name), expected)

    def test_counters_are_left_out_and_names_may_stay(self):
        state = {"layer1.0.bn1.weight": 1, "layer1.0.bn1.num_batches_tracked": 2}
        self.assertEqual(tool.renamed(state, False), {"stage1.block0.bn1.weight": 1})
        self.assertEqual(tool.renamed(state, True), {"layer1.0.bn1.weight": 1})

    def test_two_tensors_of_one_name_are_an_error(self):
        with self.assertRaisesRegex(tool.NoStateDict, "'linear.bias' and 'fc.bias'"):
            tool.renamed({"linear.bias": 1, "fc.bias": 2}, False)


class StateDict(unittest.TestCase):
    @staticmethod
    def find(content):
        return tool.find_state_dict(content, lambda value: isinstance(value, float))

    def test_it_may_lie_in_a_checkpoint(self):
        self.assertEqual(self.find({"a": 1.0}), {"a": 1.0})
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
