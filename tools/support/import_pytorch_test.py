#!/usr/bin/env python3
"""Tests of tools/import_pytorch.py.

Most need no PyTorch: an imitation of the few functions that the script uses stands for it. `WithPyTorch`
uses the real one and is skipped where this Python has none; with --require-pytorch that is an error.
"""

import argparse
import array
import collections
import contextlib
import importlib.util
import io
import json
import math
import os
import pathlib
import pickle
import resource
import stat
import struct
import subprocess
import sys
import tempfile
import types
import unittest
import zipfile

TOOL = pathlib.Path(__file__).resolve().parents[1] / "import_pytorch.py"
sys.path.insert(0, str(TOOL.parent))
import import_pytorch as tool  # noqa: E402

REQUIRED = "--require-pytorch" in sys.argv


class Flags(list):
    def sum(self):
        return sum(map(bool, self))


class Tensor:
    """The part of torch.Tensor that the script uses, for a list of numbers."""
    is_quantized = is_nested = is_meta = False
    layout = "torch.strided"

    def __init__(self, values, dtype="torch.float32", shape=None, **others):
        self.values, self.dtype = list(values), dtype
        self.shape = (len(self.values),) if shape is None else shape
        self.__dict__.update(others)

    def numel(self):
        return len(self.values)

    def dim(self):
        return len(self.shape)

    def isnan(self):
        return Flags(map(math.isnan, self.values))

    def isinf(self):
        return Flags(map(math.isinf, self.values))

    def __lt__(self, other):
        return Flags(value < other for value in self.values)

    def float(self):
        largest = 3.4028234663852886e38
        return Tensor([math.inf if abs(value) > largest else value for value in self.values],
                      shape=self.shape)

    def detach(self):
        return self

    resolve_neg = contiguous = detach

    def data_ptr(self):
        self.memory = array.array("f", self.values)
        return self.memory.buffer_info()[0]


def is_tensor(value):
    return isinstance(value, Tensor)


def weights(*names):
    return {name: Tensor([1.0]) for name in names or ("conv1.weight", "fc.weight")}


class StateDict(unittest.TestCase):
    def find(self, content, key=None):
        """Where the state_dict is, and where others are."""
        path, _, others = tool.find_state_dict(content, is_tensor, key)
        return ".".join(path), [".".join(path) for path, _ in others]

    def refusal(self, content, key=None):
        with self.assertRaises(tool.Refused) as caught:
            tool.find_state_dict(content, is_tensor, key)
        return f"{caught.exception}\nhelp: {caught.exception.help}"

    def test_it_is_the_file_or_lies_under_a_usual_key(self):
        self.assertEqual(self.find(weights()), ("", []))
        for key in ("state_dict", "model_state_dict", "model", "net"):
            self.assertEqual(self.find({"epoch": 3, key: weights()}), (key, []))
        self.assertEqual(self.find({"model": {"state_dict": weights()}}), ("model.state_dict", []))

    def test_a_number_beside_it_may_be_a_tensor(self):
        accuracy = Tensor([95.3], shape=())
        self.assertEqual(self.find({"state_dict": weights(), "best_acc1": accuracy}), ("state_dict", []))
        self.assertEqual(self.find({"weights": weights(), "best_acc1": accuracy}), ("weights", []))
        self.assertEqual(self.find({"scale": accuracy}), ("", []))

    def test_the_optimizer_is_no_choice(self):
        optimizer = {"state": {0: {"exp_avg": Tensor([1.0])}}, "names": {"a": Tensor([1.0])}}
        self.assertEqual(self.find({"weights": weights(), "optimizer": optimizer}), ("weights", []))

    def test_an_average_is_taken_by_name_only(self):
        content = {"state_dict": weights(), "state_dict_ema": weights()}
        self.assertEqual(self.find(content), ("state_dict", ["state_dict_ema"]))
        self.assertEqual(self.find(content, "state_dict_ema"), ("state_dict_ema", []))
        content = {"model": weights(), "ema": {"module": weights(), "decay": 0.9}}
        self.assertEqual(self.find(content), ("model", ["ema.module"]))
        self.assertEqual(self.find(content, "ema"), ("ema.module", []))
        self.assertEqual(self.find(content, "ema.module"), ("ema.module", []))
        for key in ("ema", "model_ema", "ema_state_dict", "swa", "params_ema"):
            self.assertEqual(self.refusal({key: weights(), "epoch": 3}),
                             "the only dictionary of tensors seems to be an average (EMA):\n"
                             f"  {key}: a dictionary of 2 tensors: conv1.weight, fc.weight\n"
                             "  epoch: int 3\n"
                             f"help: take it with --key {key}")

    def test_the_only_one_is_taken(self):
        self.assertEqual(self.find({"params": weights(), "epoch": 3}), ("params", []))

    def test_an_unclear_choice_lists_what_is_there(self):
        content = {"G": weights(*"abcd"), "D": weights(), "epoch": 3, "opt": {"lr": 0.1}, "name": "gan",
                   "args": tool.stand_in("argparse.Namespace", None)()}
        self.assertEqual(self.refusal(content),
                         "which dictionary of tensors to take is not clear:\n"
                         "  G: a dictionary of 4 tensors: a, b, c, ...\n"
                         "  D: a dictionary of 2 tensors: conv1.weight, fc.weight\n"
                         "  epoch: int 3\n"
                         "  opt: a dictionary of 1 entry without tensors\n"
                         "  name: str 'gan'\n"
                         "  args: argparse.Namespace (not read)\n"
                         "help: take it with --key G or --key D")
        self.assertIn("--key model or --key net", self.refusal({"model": weights(), "net": weights()}))
        many = self.refusal({f"part{number}": weights() for number in range(30)})
        self.assertIn("and 10 more", many)
        self.assertIn("--key part3 or another one", many)

    def test_one_dictionary_under_two_names_is_one(self):
        same = weights()
        self.assertEqual(self.find({"model": same, "net": same}), ("model", []))

    def test_a_dictionary_inside_a_state_dict_is_not_taken_for_it(self):
        self.assertIn("not clear", self.refusal({**weights(), "_extra_state": weights()}))

    def test_a_wrong_key_lists_what_is_there(self):
        content = {"model": weights(), "epoch": 3, "net": {"G": weights(), "D": weights()}}
        self.assertTrue(self.refusal(content, "modle").startswith(
            "the file has no key 'modle'. It holds:\n  model: a dictionary of 2 tensors"))
        self.assertIn("'epoch' is int 3, not a dictionary of tensors", self.refusal(content, "epoch"))
        self.assertIn("'net' holds 2 dictionaries of tensors", self.refusal(content, "net"))
        self.assertIn("take it with --key net.G or --key net.D", self.refusal(content, "net"))
        self.assertEqual(self.find(content, "net.D"), ("net.D", []))
        self.assertEqual(self.find({"a.b": {"c": weights()}}, "a.b.c"), ("a.b.c", []))
        self.assertIn("'ema' is a NoneType, not", self.refusal({"model": weights(), "ema": None}, "ema"))
        self.assertIn("--key 'a b' or --key c", self.refusal({"a b": weights(), "c": weights()}))

    def test_anything_else_says_what_it_is(self):
        model = tool.stand_in("nets.resnet.ResNet", None)()
        for content, message in (
                ([1.0], "the file holds a list, not"), (Tensor([1.0]), "holds a tensor of shape [1], not"),
                ({}, "an empty dictionary"),
                ({"epoch": 3}, "holds no dictionary of tensors:\n  epoch: int 3\nhelp: save a state_dict"),
                (model, "a whole pickled object of nets.resnet.ResNet"),
                ({"model": model}, "  model: nets.resnet.ResNet (not read)\nhelp: a whole model is not")):
            self.assertIn(message, self.refusal(content))

    def test_every_entry_is_a_tensor_with_a_name(self):
        for state, message in (({0: Tensor([1.0])}, "the name 0 of a tensor is of type int"),
                               ({**weights(), "epoch": 3}, "of 3 entries, 1 is no tensor:\n  epoch: int 3")):
            with self.assertRaises(tool.Refused) as caught:
                tool.require_tensors(state, is_tensor)
            self.assertIn(message, str(caught.exception))
        with self.assertRaises(tool.Refused) as caught:
            tool.require_tensors({"fc._packed_params._packed_params": (1, 2)}, is_tensor)
        self.assertIn("quantized modules", caught.exception.help)


class Names(unittest.TestCase):
    def test_a_prefix_of_all_names_is_removed(self):
        for prefix in ("", "module.", "_orig_mod.", "model.", "module._orig_mod.", "model.model.",
                       "_orig_mod.module.model."):
            self.assertEqual(tool.common_prefix([f"{prefix}conv1.weight", f"{prefix}fc.bias"]), prefix)

    def test_a_prefix_of_some_names_stays(self):
        # Removed, "module.a" and "a" would be one name.
        for names in (["module.a", "a"], ["module.a", "model.b"], ["modules.a"], ["module."],
                      ["module.", "module.a"], ["net.a"]):
            self.assertEqual(tool.common_prefix(names), "", names)

    def test_counters_are_left_out_and_counted(self):
        state, left_out = tool.without_counters(weights(
            "n_averaged", "module.a", "bn.num_batches_tracked", "b.bn.num_batches_tracked", "n_averaged.a"))
        self.assertEqual(list(state), ["module.a", "n_averaged.a"])
        self.assertEqual(left_out, {"n_averaged": 1, "num_batches_tracked": 2})

    def test_a_name_that_qhost_cannot_read_is_refused(self):
        for name, why in (("a\udc80", "no valid Unicode"), ("é" * 2049, "4098 bytes, at most 4096"),
                          ("__metadata__", "is reserved"), ("a/b", "has a /")):
            self.assertIn(why, tool.wrong_name(name))
        self.assertEqual(tool.wrong_name("layer1.0.conv1.weight é\n"), "")

    def test_what_a_terminal_obeys_is_escaped(self):
        self.assertEqual(tool.shown("a\x1b[31m\nb"), "a\\x1b[31m\\nb")
        self.assertEqual(tool.shown("é.weight"), "é.weight")


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
            self.assertEqual(tool.wrong_values(name, Tensor(values, "torch.float64")), expected, name)

    def test_what_is_no_dense_tensor_of_floats_is_refused(self):
        for tensor, why in (
                (Tensor([1, 2], "torch.int8"), "2 values of type int8"),
                (Tensor([1.0], "torch.float8_e4m3fn"), "1 value of type float8_e4m3fn"),
                (Tensor([1.0], "torch.complex64"), "1 value of type complex64"),
                (Tensor([1.0], layout="torch.sparse_coo"), "is sparse or packed (sparse_coo)"),
                (Tensor([1.0], "torch.qint8", is_quantized=True), "is quantized (qint8)"),
                (Tensor([1.0], is_nested=True), "is a nested tensor"),
                (Tensor([1.0], is_meta=True), "has a shape and no values (device meta)"),
                (Tensor([1.0], shape=(1,) * 9), "has 9 dimensions, at most 8 are read")):
            self.assertEqual(tool.wrong_kind(tensor)[0], why)
        for dtype in ("float16", "bfloat16", "float32", "float64"):
            self.assertIsNone(tool.wrong_kind(Tensor([1.0], f"torch.{dtype}")))

    def test_all_faults_are_listed(self):
        state = {"fc": Tensor([1, 2], "torch.int8"), "a": Tensor([1.0], layout="torch.sparse_coo"),
                 "b": Tensor([math.nan])}
        with self.assertRaises(tool.Refused) as caught:
            tool.require_values(state)
        self.assertEqual(str(caught.exception), "2 tensors of 3 cannot become float32:\n"
                         "  a: is sparse or packed (sparse_coo)\n  fc: 2 values of type int8")
        self.assertEqual(caught.exception.help, "save it dense: tensor.to_dense(); of a quantized network "
                         "save the floats that its numbers stand for")

    def test_too_many_bytes_are_refused_unread(self):
        class Huge(Tensor):  # a tensor with stride 0: many elements, few bytes
            def numel(self):
                return 1 << 40
        with self.assertRaisesRegex(tool.Refused, "4398046511104 bytes as float32, at most 17179869184"):
            tool.require_values({"a": Huge([1.0])})


class Header(unittest.TestCase):
    def test_offsets_follow_the_names(self):
        text = tool.header({"b": (2, 3), "a": (1,), "c": (), "d": (0, 3)})
        (length,) = struct.unpack("<Q", text[:8])
        self.assertEqual((length, length % 8), (len(text) - 8, 0))
        entries = json.loads(text[8:])
        self.assertEqual(entries["a"], {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
        self.assertEqual([entries[name]["data_offsets"] for name in "bcd"], [[4, 28], [28, 32], [32, 32]])
        self.assertEqual(entries["c"]["shape"], [])

    def test_a_header_that_qhost_does_not_read_is_refused(self):
        with self.assertRaisesRegex(tool.Refused, "at most 16777216 are read"):
            tool.header({f"{number}{'x' * 4000}": (1,) for number in range(4200)})


def pickled(content):
    return pickle.dumps(content, 2)


def archive(path, content=None, names=("x/data.pkl",)):
    """A file in the form of torch.save(), without tensors."""
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, pickled(content) if content is not None else b"")


class Files(unittest.TestCase):
    """The command with an imitation of PyTorch, whose load() returns self.content."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.source, self.target = self.folder / "net.pth", self.folder / "net.safetensors"
        self.content = weights()
        self.names = []
        archive(self.source, {})

    def torch(self):
        def load(file, map_location, weights_only):
            self.assertEqual((map_location, weights_only), ("cpu", True))
            if isinstance(self.content, Exception):
                raise self.content
            return self.content

        @contextlib.contextmanager
        def safe_globals(classes):
            self.names += [tool.name_of(stand_in) for stand_in in classes]
            yield

        return types.SimpleNamespace(load=load, is_tensor=is_tensor,
                                     serialization=types.SimpleNamespace(safe_globals=safe_globals))

    def run_tool(self, *flags):
        """(exit code, stdout, stderr)."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        before, tool.import_torch = tool.import_torch, self.torch
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                tool.main([str(self.source), str(self.target), *flags])
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
            err.write(f"{stopped.code}\n")
        finally:
            tool.import_torch = before
        return code, out.getvalue(), err.getvalue()

    def assert_refused(self, message, help_text):
        before = self.target.read_bytes() if self.target.is_file() else None
        code, out, err = self.run_tool()
        self.assertEqual((code, out), (1, ""), err)
        lines = err.rstrip("\n").split("\n")
        self.assertTrue(lines[0].startswith("import_pytorch: "), err)
        self.assertTrue(lines[-1].startswith("help: "), err)
        self.assertIn(message, err)
        self.assertIn(help_text, lines[-1])
        self.assertEqual(self.target.read_bytes() if self.target.is_file() else None, before)
        self.assertEqual([path for path in self.folder.iterdir() if path.name.startswith(".")], [])

    def written(self):
        blob = self.target.read_bytes()
        (length,) = struct.unpack("<Q", blob[:8])
        return {name: struct.unpack(f"<{(end - begin) // 4}f", blob[8 + length + begin:8 + length + end])
                for name, entry in json.loads(blob[8:8 + length]).items()
                for begin, end in [entry["data_offsets"]]}

    def test_values_follow_their_names(self):
        self.content = {"net": {"b": Tensor([1.0, 2.0]), "a": Tensor([3.0]), "c": Tensor([]),
                                "d": Tensor([0.5], shape=())}}
        self.assertEqual(self.run_tool(), (0, "a [1]\nb [2]\nc [0]\nd []\n", ""))
        self.assertEqual(self.written(), {"a": (3.0,), "b": (1.0, 2.0), "c": (), "d": (0.5,)})

    def test_what_was_changed_is_said(self):
        self.content = {
            "state_dict": {"module.a": Tensor([1.0], "torch.float16"), "n_averaged": Tensor([7]),
                           "module.bn.num_batches_tracked": Tensor([7])},
            "state_dict_ema": weights()}
        self.assertEqual(self.run_tool(), (0, "a [1]\n", (
            "note: state_dict is taken; the file also holds state_dict_ema (2 entries): take it with "
            "--key state_dict_ema\n"
            "note: the prefix module. is removed from all 1 names\n"
            "note: left out: 1 n_averaged, 1 num_batches_tracked (these weights are averages: "
            "torch.optim.swa_utils.AveragedModel)\n"
            "note: 1 of float16 became float32\n")))
        self.assertEqual(self.run_tool("--key", "state_dict_ema"),
                         (0, "conv1.weight [1]\nfc.weight [1]\n", "note: state_dict_ema is taken\n"))

    def test_the_new_file_gets_the_usual_permissions(self):
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        self.assertEqual(self.run_tool()[0], 0)
        self.assertEqual(stat.S_IMODE(self.target.stat().st_mode), 0o640)
        self.target.chmod(0o604)
        self.assertEqual(self.run_tool()[0], 0)
        self.assertEqual(stat.S_IMODE(self.target.stat().st_mode), 0o604)

    def test_a_link_is_followed(self):
        real = self.folder / "real.safetensors"
        self.target.symlink_to(real)
        self.assertEqual(self.run_tool()[0], 0)
        self.assertTrue(self.target.is_symlink() and real.is_file())

    def test_an_old_target_survives_every_error(self):
        self.target.write_bytes(b"old")
        self.content = {"a": Tensor([math.nan])}
        self.assert_refused("the weights cannot be right:\n  a: 1 of 1 values is nan", "diverged")
        self.content = {"a": Tensor([1.0], layout="torch.sparse_coo")}
        self.assert_refused("a: is sparse", "to_dense()")
        self.content = {"a": Tensor([1.0]), "epoch": 3}
        self.assert_refused("of 2 entries, 1 is no tensor:\n  epoch: int 3", "save a state_dict")
        self.content = MemoryError("too large")
        self.assert_refused("cannot be read: MemoryError: too large", "save a state_dict")
        self.content = RuntimeError("unexpected EOF. The file might be corrupted.")
        self.assert_refused("unexpected EOF", "copy or download")
        self.assertEqual(self.target.read_bytes(), b"old")

    def test_a_full_disk_leaves_the_old_target(self):
        self.target.write_bytes(b"old")
        self.content = {"a": Tensor([1.0] * 100)}
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
        try:
            self.assert_refused("net.safetensors: cannot be written: File too large", "free space")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def test_an_error_while_converting_leaves_the_old_target(self):
        class Broken(Tensor):
            def contiguous(self):
                raise RuntimeError("no memory")
            detach = resolve_neg = contiguous
        self.target.write_bytes(b"old")
        self.content = {"a": Tensor([1.0]), "b": Broken([1.0])}
        self.assert_refused("the tensors cannot become float32: RuntimeError: no memory", "")

    def test_targets_that_cannot_be_replaced(self):
        self.target = self.folder / "none" / "net.safetensors"
        self.assert_refused(f"there is no folder {self.folder}/none", "mkdir -p")
        self.target = self.folder
        self.assert_refused("the target is a directory", "name a file")
        self.target = pathlib.Path(os.devnull)
        self.assert_refused("the target is not a regular file", "name a file")
        self.target = self.source
        self.assert_refused("source and target are the same file", "name another target")
        self.target = self.folder / ("x" * 300)
        self.assertIn("cannot be written: File name too long\nhelp: name a file", self.run_tool()[2])

    def test_sources_that_are_no_file_of_pytorch(self):
        self.source.unlink()
        self.assert_refused("there is no such file", "name a file")
        self.source.mkdir()
        self.assert_refused("this is a directory", "name the file")
        self.source.rmdir()
        for content, message, help_text in (
                (b"", "the file is empty (0 bytes)", "download"),
                (struct.pack("<Q", 2) + b"{}", "is a .safetensors file already", "train.init_from=FILE"),
                (b"<!DOCTYPE html><title>404", "begins with b'<!DOCTYPE ht'", "torch.save()"),
                (b"x" * 257 + b"ustar" + b"\0" * 300, "is a tar archive", "tar -xf"),
                (b"PK\3\4 cut", "a zip archive whose end is missing", "download"),
                (pickled({"data": [1, 2]}), "a pickle, but torch.save() did not write it", "state_dict"),
                (pickled(tool.LEGACY_MAGIC), "cut short", "download"),
                (pickled(tool.LEGACY_MAGIC)[:5], "cut short", "download"),
                (pickle.dumps(tool.LEGACY_MAGIC, 4) + pickle.dumps(1001, 4), "pickle protocol 4",
                 "without pickle_protocol")):
            self.source.write_bytes(content)
            self.assert_refused(message, help_text)

    def test_archives_of_others(self):
        archive(self.source, {}, ["net/data.pkl", "net/constants.pkl"])
        self.assert_refused("this is a TorchScript archive", "torch.jit.load(FILE).state_dict()")
        archive(self.source, {}, ["weight.npy", "bias.npy"])
        self.assert_refused("a zip archive with 0 data.pkl; one of torch.save() has 1. It holds weight.npy, "
                            "bias.npy", "save a state_dict")

    def test_a_wrong_checksum_is_refused(self):
        archive(self.source, "x" * 99)
        damaged = self.source.read_bytes().replace(b"xxx", b"xyx", 1)
        self.source.write_bytes(damaged)
        self.assert_refused("damaged or cut short: Bad CRC-32 for file 'x/data.pkl'", "download")

    def test_a_checksum_of_zero_was_not_computed(self):
        archive(self.source, "x" * 99)
        with zipfile.ZipFile(self.source) as file:
            checksum = struct.pack("<L", file.getinfo("x/data.pkl").CRC)
        self.source.write_bytes(self.source.read_bytes().replace(checksum, b"\0" * 4))
        self.assertEqual(self.run_tool()[0], 0)

    def test_every_class_that_the_file_names_gets_a_stand_in(self):
        archive(self.source, [argparse.Namespace(lr=0.1), collections.OrderedDict(),
                              pathlib.PurePosixPath("a")])
        self.assertEqual(self.run_tool()[0], 0)
        self.assertLessEqual({"argparse.Namespace", "collections.OrderedDict", "pathlib.PurePosixPath"},
                             set(self.names))

    def test_a_file_before_pytorch_1_6(self):
        parts = [tool.LEGACY_MAGIC, 1001, {}, {"args": argparse.Namespace()}, []]
        self.source.write_bytes(b"".join(map(pickled, parts)))
        self.assertEqual(self.run_tool()[0], 0)
        self.assertEqual(self.names, ["argparse.Namespace"])
        self.content = pickle.UnpicklingError("Weights only load failed.\nWeightsUnpickler error: \n\nOnly "
                                              "persistent_load of storage is allowed, but got str")
        self.assert_refused("holds a whole pickled model (argparse.Namespace)", "where its class is known")

    def test_a_file_that_runs_commands_is_refused(self):
        class Command:
            def __init__(self, function):
                self.function = function

            def __reduce__(self):
                return self.function, ("touch pwned",)
        for function, name in ((os.system, "posix.system"), (eval, "builtins.eval"),
                               (subprocess.Popen, "subprocess.Popen")):
            archive(self.source, Command(function))
            self.assert_refused(f"the file calls {name}, which can run commands", "a source you trust")

    def test_unusual_names(self):
        self.content = weights("é\n\x1b[31m", "module.a")
        self.assertEqual(self.run_tool()[:2], (0, "module.a [1]\n\\xe9\\n\\x1b[31m [1]\n"))
        self.assertEqual(sorted(self.written()), ["module.a", "é\n\x1b[31m"])
        self.content = weights("module.__metadata__", "module.a/b")
        self.assert_refused("2 names cannot be kept:\n  __metadata__ is reserved", "rename")


class Command(unittest.TestCase):
    def test_a_python_without_pytorch_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "torch.py").write_text("raise ImportError('No module named torch')\n")
            done = subprocess.run([sys.executable, TOOL, "a.pth", "b.safetensors"], capture_output=True,
                                  text=True, env={**os.environ, "PYTHONPATH": folder})
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("import_pytorch: this Python has no PyTorch"), done.stderr)
        self.assertIn("\nhelp: pip install torch", done.stderr)

    def test_an_old_pytorch_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "torch.py").write_text("__version__ = '2.5.1+cpu'\n")
            done = subprocess.run([sys.executable, TOOL, "a.pth", "b.safetensors"], capture_output=True,
                                  text=True, env={**os.environ, "PYTHONPATH": folder})
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("PyTorch 2.5.1+cpu can run a file's code", done.stderr)

    def test_wrong_arguments_exit_with_2(self):
        done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)


HAS_PYTORCH = importlib.util.find_spec("torch") is not None


@unittest.skipUnless(HAS_PYTORCH or REQUIRED, "this Python has no PyTorch")
class WithPyTorch(unittest.TestCase):
    """What torch.save() really writes."""

    @classmethod
    def setUpClass(cls):
        cls.torch = tool.import_torch()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.source, self.target = self.folder / "net.pth", self.folder / "net.safetensors"
        self.torch.manual_seed(1)
        self.weights = {"conv1.weight": self.torch.randn(4, 3, 3, 3), "bn1.running_var": self.torch.rand(4),
                        "fc.weight": self.torch.randn(10, 4), "fc.bias": self.torch.randn(10)}

    def run_tool(self, *flags):
        """What was printed, and the tensors written; None for these if it failed."""
        said = io.StringIO()
        self.target.unlink(missing_ok=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                tool.main([str(self.source), str(self.target), *flags])
        except SystemExit as stopped:
            self.assertFalse(self.target.exists())
            return str(stopped.code), None
        blob = self.target.read_bytes()
        (length,) = struct.unpack("<Q", blob[:8])
        tensors = {}
        for name, entry in json.loads(blob[8:8 + length]).items():
            begin, end = entry["data_offsets"]
            values = array.array("f", blob[8 + length + begin:8 + length + end])
            tensors[name] = self.torch.tensor(values.tolist()).reshape(entry["shape"])
        return said.getvalue(), tensors

    def convert(self, content, *flags, **how):
        self.torch.save(content, self.source, **how)
        return self.run_tool(*flags)

    def assert_weights(self, tensors, expected=None):
        expected = self.weights if expected is None else expected
        self.assertEqual(list(tensors), sorted(expected))
        for name, tensor in tensors.items():
            self.assertTrue(self.torch.equal(tensor, expected[name].float()), name)

    def test_what_training_scripts_write(self):
        namespace, w = argparse.Namespace(lr=0.1), self.weights
        for content in (
                w, collections.OrderedDict(w), {"model": w, "optimizer": {}, "epoch": 3, "args": namespace},
                {"epoch": 3, "arch": "resnet18", "state_dict": w, "state_dict_ema": w, "args": namespace},
                {"epoch": 3, "model_state_dict": w, "optimizer_state_dict": {}, "loss": 0.1},
                {"_orig_mod." + name: tensor for name, tensor in w.items()},
                {"state_dict": {"model." + name: tensor for name, tensor in w.items()}, "epoch": 3},
                {"module._orig_mod." + name: tensor for name, tensor in w.items()}):
            for zip_format in (True, False):
                self.assert_weights(self.convert(content, _use_new_zipfile_serialization=zip_format)[1])

    def test_objects_beside_the_weights(self):
        content = {"net": self.weights, "version": self.torch.__version__, "path": pathlib.Path("a"),
                   "meter": collections.defaultdict(list, {"loss": [1.0]}), "log": collections.deque([1])}
        if importlib.util.find_spec("numpy"):
            import numpy
            content.update(acc=numpy.float64(95.3), history=numpy.arange(3.0), count=numpy.int64(3))
        self.assert_weights(self.convert(content)[1])
        self.assert_weights(self.convert(collections.defaultdict(int, self.weights))[1])

    def test_an_average(self):
        network = self.torch.nn.Sequential(self.torch.nn.Linear(2, 3), self.torch.nn.BatchNorm1d(3))
        average = self.torch.optim.swa_utils.AveragedModel(network)
        with self.torch.no_grad():
            network[0].weight.zero_()
        content = {"model": network.state_dict(), "model_ema": average.state_dict()}
        said, tensors = self.convert(content)
        self.assertEqual(int(tensors["0.weight"].count_nonzero()), 0)
        self.assertIn("--key model_ema", said)
        said, tensors = self.convert(content, "--key", "model_ema")
        self.assertEqual(int(tensors["0.weight"].count_nonzero()), 6)
        self.assertIn("the prefix module. is removed", said)
        self.assertIn("1 n_averaged, 1 num_batches_tracked", said)

    def test_values_do_not_depend_on_memory(self):
        torch = self.torch
        base = torch.arange(24.0)
        views = {"tied": base, "tied_too": base, "part": base[4:20:3], "turned": base.reshape(4, 6).T,
                 "last": base.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
                 "wide": torch.ones(1).expand(2, 3), "scalar": torch.tensor(2.5), "none": torch.empty(0, 3),
                 "parameter": torch.nn.Parameter(base), "half": torch.tensor([1 / 3]).half(),
                 "brain": torch.tensor([1 / 3]).bfloat16(), "double": torch.tensor([1 / 3]).double(),
                 # Two views whose memory has the opposite sign.
                 "negated": torch.complex(base, base).conj().imag,
                 "one_negated": torch.complex(base, base).conj().imag[3:4]}
        self.assert_weights(self.convert(views)[1], views)

    def test_tensors_without_float32_values(self):
        torch = self.torch
        ones = torch.ones(2)
        for tensor, why in ((torch.eye(2).to_sparse(), "sparse_coo"),
                            (torch.eye(2).to_sparse_csr(), "sparse_csr"),
                            (ones.to(torch.float8_e4m3fn), "float8_e4m3fn"),
                            (torch.empty(2, device="meta"), "meta"),
                            (torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8), "quantized (qint8)"),
                            (torch.complex(ones, ones), "complex64"), (ones.bool(), "bool"),
                            (ones[:1].expand(1 << 40), "bytes as float32"),
                            (ones.double() * 1e300, "2 of 2 values are beyond float32")):
            said, tensors = self.convert({**self.weights, "fc.weight": tensor})
            self.assertIsNone(tensors)
            self.assertIn(why, said)
            self.assertIn("\nhelp: ", said)

    def test_files_that_hold_no_state_dict(self):
        torch = self.torch
        linear = torch.nn.Linear(2, 2)
        for content, how, why in ((linear, {}, "torch.nn.modules.linear.Linear"),
                                  (linear, {"_use_new_zipfile_serialization": False}, "whole pickled model"),
                                  ({"model": linear}, {}, "model: torch.nn.modules.linear.Linear (not read)"),
                                  (self.weights, {"pickle_protocol": 4}, "pickle protocol 4"),
                                  ([self.weights], {}, "holds a list")):
            said, tensors = self.convert(content, **how)
            self.assertIsNone(tensors)
            self.assertIn(why, said)
            self.assertNotIn("\n\n", said)

    def test_torchscript(self):
        self.torch.jit.script(self.torch.nn.Linear(2, 2)).save(str(self.source))
        self.assertIn("this is a TorchScript archive", self.run_tool()[0])

    def test_a_changed_bit_is_found(self):
        self.torch.save(self.weights, self.source)
        blob = bytearray(self.source.read_bytes())
        values = bytes(self.weights["fc.weight"].untyped_storage())
        blob[blob.index(values) + 2] ^= 1
        self.source.write_bytes(blob)
        self.assertIn("Bad CRC-32", self.run_tool()[0])

    def test_a_file_without_checksums(self):
        before = self.torch.serialization.get_crc32_options()
        self.addCleanup(self.torch.serialization.set_crc32_options, before)
        self.torch.serialization.set_crc32_options(False)
        self.assert_weights(self.convert({"net": self.weights, "args": argparse.Namespace()})[1])

    def test_a_file_that_was_cut_short(self):
        for zip_format in (True, False):
            self.torch.save(self.weights, self.source, _use_new_zipfile_serialization=zip_format)
            blob = self.source.read_bytes()
            for size in (100, len(blob) // 2, len(blob) - 1):
                self.source.write_bytes(blob[:size])
                said, tensors = self.run_tool()
                self.assertIsNone(tensors)
                self.assertIn("help: copy or download the file again", said)

    def test_a_name_that_the_terminal_cannot_show(self):
        self.torch.save({"é": self.torch.ones(2)}, self.source)
        done = subprocess.run([sys.executable, TOOL, self.source, self.target], capture_output=True,
                              env={**os.environ, "PYTHONIOENCODING": "ascii"})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"\\xe9 [2]\n", b""))

    def test_no_code_of_the_file_is_run(self):
        witness = self.folder / "witness"

        class Call:
            def __init__(self, function, *arguments):
                self.call = function, arguments

            def __reduce__(self):
                return self.call
        for call in (Call(os.mkdir, str(witness)), Call(exec, f"open({str(witness)!r}, 'w')"),
                     Call(os.makedirs, str(witness)), Call(io.FileIO, str(witness), "w"),
                     Call(tempfile.mkdtemp, "x", "y", str(self.folder))):
            self.convert({"net": self.weights, "x": call})
            others = {path.name for path in self.folder.iterdir()} - {"net.pth", "net.safetensors"}
            self.assertEqual(others, set())


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--require-pytorch"])
