#!/usr/bin/env python3
"""Tests of tools/import_cifar.py: pickles as NumPy writes them, without NumPy."""

import pathlib
import pickle
import sys
import tarfile
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import import_cifar as tool  # noqa: E402

IMAGES = 3


class NumPy:
    """Modules under NumPy's names, so that pickles ask for NumPy's classes."""

    def __enter__(self):
        self.before = {name: sys.modules.get(name) for name in
                       ("numpy", "numpy.core", "numpy.core.multiarray")}
        for name in self.before:
            sys.modules[name] = types.ModuleType(name)

        def _reconstruct(*_):
            raise AssertionError("only its name is stored")

        class dtype:
            def __init__(self, kind):
                self.kind = kind

            def __reduce__(self):
                return dtype, (self.kind, 0, 1), (3, "|", None, None, None, -1, -1, 0)

        class ndarray:
            def __init__(self, shape, raw, kind="u1"):
                self.state = (1, shape, dtype(kind), False, raw)

            def __reduce__(self):
                return _reconstruct, (ndarray, (0,), b"b"), self.state

        for owner, thing in (("numpy.core.multiarray", _reconstruct), ("numpy", dtype),
                             ("numpy", ndarray)):
            thing.__module__, thing.__qualname__ = owner, thing.__name__
            setattr(sys.modules[owner], thing.__name__, thing)
        return ndarray

    def __exit__(self, *_):
        for name, module in self.before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def pixels(seed):
    return bytes((seed + 7 * i) % 256 for i in range(IMAGES * tool.PIXELS))


class ImportCifar(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def write(self, path, content, array=None, protocol=2):
        """`array` (shape, bytes, type) is added under "data"."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with NumPy() as ndarray:
            if array:
                content = {**content, b"data": ndarray(*array)}
            path.write_bytes(pickle.dumps(content, protocol))

    def cifar10(self):
        source = self.folder / "cifar-10-batches-py"
        for number, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
            self.write(source / name, {b"labels": [number, 9, 0]},
                       ((IMAGES, tool.PIXELS), pixels(number)))
        self.write(source / "batches.meta", {b"label_names": [b"airplane", b"automobile"]})
        counts = {name: IMAGES for name in tool.SETS["cifar-10-batches-py"][2]}
        return source, counts

    def test_the_binary_files_hold_the_same_images_in_the_same_order(self):
        source, counts = self.cifar10()
        made = tool.convert(source, self.folder / "out", counts)
        self.assertEqual(made, self.folder / "out" / "cifar-10-batches-bin")
        for number, name in enumerate(["data_batch_1", "data_batch_2"]):
            raw = pixels(number)
            wanted = b"".join(bytes([label]) + raw[i * tool.PIXELS:(i + 1) * tool.PIXELS]
                              for i, label in enumerate([number, 9, 0]))
            self.assertEqual((made / f"{name}.bin").read_bytes(), wanted)
        self.assertEqual((made / "batches.meta.txt").read_text(), "airplane\nautomobile\n")
        self.assertEqual(sorted(p.name for p in made.iterdir())[-1], "test_batch.bin")
        with self.assertRaisesRegex(tool.Refused, "exists already\nhelp: "):
            tool.convert(source, self.folder / "out", counts)

    def test_cifar100_has_the_coarse_label_first(self):
        source = self.folder / "cifar-100-python"
        for name in ("train", "test"):
            self.write(source / name, {"coarse_labels": [1, 2, 3], "fine_labels": [4, 5, 6]},
                       ((IMAGES, tool.PIXELS), pixels(0)), protocol=4)
        self.write(source / "meta", {"coarse_label_names": ["fish"], "fine_label_names": ["ray"]})
        made = tool.convert(source, self.folder, {"train": IMAGES, "test": IMAGES})
        records = (made / "train.bin").read_bytes()
        self.assertEqual(len(records), IMAGES * (2 + tool.PIXELS))
        self.assertEqual(records[:2], bytes([1, 4]))
        self.assertEqual((made / "fine_label_names.txt").read_text(), "ray\n")

    def test_an_archive_is_read_as_its_folder(self):
        source, _ = self.cifar10()
        archive = self.folder / "cifar-10-python.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, source.name)
        with tempfile.TemporaryDirectory() as scratch:
            there = tool.unpacked(archive, scratch)
            self.assertEqual({p.name: p.read_bytes() for p in there.iterdir()},
                             {p.name: p.read_bytes() for p in source.iterdir()})

    def test_what_is_no_such_set_is_refused_and_nothing_is_written(self):
        out = self.folder / "out"
        source, counts = self.cifar10()
        batch = source / "data_batch_3"
        for content, array, said in (
                ({b"labels": [1, 2]}, ((IMAGES, tool.PIXELS), pixels(0)), "does not hold 3 numbers"),
                ({b"labels": [1, 2, 256]}, ((IMAGES, tool.PIXELS), pixels(0)), "is no byte"),
                ({b"labels": [1, 2, 3]}, ((2, tool.PIXELS), pixels(0)), r"shape \[2, 3072\], not \[3, "),
                ({b"labels": [1, 2, 3]}, ((IMAGES, tool.PIXELS), pixels(0), "f4"), "holds no bytes"),
                ({b"labels": [1, 2, 3]}, None, "holds no bytes"),
                ([1], None, "holds no dictionary"),
                ({b"labels": types.SimpleNamespace(a=1)}, None, "asks for types.SimpleNamespace")):
            self.write(batch, content, array)
            with self.assertRaisesRegex(tool.Refused, said):
                tool.convert(source, out, counts)
            self.assertEqual(list(out.iterdir()), [])
        batch.unlink()
        with self.assertRaisesRegex(tool.Refused, "data_batch_3 does not exist"):
            tool.convert(source, out, counts)
        with self.assertRaisesRegex(tool.Refused, "is neither cifar-10-batches-py nor"):
            tool.convert(self.folder, out)


if __name__ == "__main__":
    unittest.main()
