#!/usr/bin/env python3
"""Tests of tools/import_cifar.py: pickles as NumPy writes them, without NumPy."""

import os
import pathlib
import pickle
import sys
import tarfile
import tempfile
import types
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import import_cifar as tool  # noqa: E402

IMAGES = 3

# What the real packages wrote for {"data": A, "labels": [3, 9]}, where A is the array of bytes 1 .. 12 in two
# rows. The first is the form of the published files; the others are what became of them in newer tools.
REAL = {
    "Python 2.7, NumPy 1.6.0, protocol 2, as published": (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]"
        b"q\x05(K\x03K\teU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndar"
        b"ray\nq\x08K\x00\x85U\x01b\x87Rq\t(K\x01K\x02K\x06\x86cnumpy\ndtype\nq\nU\x02u1K\x00K"
        b"\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x0c\x01"
        b"\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0ctbU\tfilenamesq\x0c]q\r(U\x05a.pngq\x0eU\x05"
        b"b.pngq\x0feu."),
    "Python 2.7, NumPy 1.6.0, protocol 0, Fortran order": (
        b"(dp1\nS'labels'\np2\n(lp3\nI3\naI9\nasS'data'\np4\ncnumpy.core.multiarray\n_reconstr"
        b"uct\np5\n(cnumpy\nndarray\np6\n(I0\ntS'b'\ntRp7\n(I1\n(I2\nI6\ntcnumpy\ndtype\np8\n("
        b"S'u1'\nI0\nI1\ntRp9\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI01\nS'\\x01\\x07\\x02\\x08\\x03"
        b"\\t\\x04\\n\\x05\\x0b\\x06\\x0c'\ntbs."),
    "NumPy 2.4.1, protocol 2, labels as bytes in an array": (
        b"\x80\x02}q\x00(X\x04\x00\x00\x00dataq\x01cnumpy._core.multiarray\n_reconstruct\nq"
        b"\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04c_codecs\nencode\nq\x05X\x01\x00\x00\x00bq"
        b"\x06X\x06\x00\x00\x00latin1q\x07\x86q\x08Rq\t\x87q\nRq\x0b(K\x01K\x02K\x06\x86q\x0cc"
        b"numpy\ndtype\nq\rX\x02\x00\x00\x00u1q\x0e\x89\x88\x87q\x0fRq\x10(K\x03X\x01\x00\x00"
        b"\x00|q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x12b\x89h\x05X\x0c\x00\x00"
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0cq\x13h\x07\x86q\x14Rq\x15tq\x16bX"
        b"\x06\x00\x00\x00labelsq\x17h\x02h\x03K\x00\x85q\x18h\t\x87q\x19Rq\x1a(K\x01K\x02\x85"
        b"q\x1bh\x10\x89h\x05X\x02\x00\x00\x00\x03\tq\x1ch\x07\x86q\x1dRq\x1etq\x1fbu."),
    "NumPy 1.19.5, protocol 4, labels of NumPy": (
        b"\x80\x04\x95\x03\x01\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04data\x94\x8c\x15numpy.core"
        b".multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07ndarray\x94"
        b"\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02K\x06\x86\x94h\x05\x8c\x05dty"
        b"pe\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff"
        b"\xffJ\xff\xff\xff\xffK\x00t\x94b\x88C\x0c\x01\x07\x02\x08\x03\t\x04\n\x05\x0b\x06"
        b"\x0c\x94t\x94b\x8c\x06labels\x94]\x94(h\x02\x8c\x06scalar\x94\x93\x94h\x0e\x8c\x02i8"
        b"\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
        b"\x00t\x94bC\x08\x03\x00\x00\x00\x00\x00\x00\x00\x94\x86\x94R\x94h\x19h\x1cC\x08\t"
        b"\x00\x00\x00\x00\x00\x00\x00\x94\x86\x94R\x94eu."),
    "NumPy 1.26.4, protocol 5, labels as a big-endian array": (
        b"\x80\x05\x95\xda\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04data\x94\x8c\x12numpy.core"
        b".numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(\x96\x0c\x00\x00\x00\x00\x00\x00\x00\x01"
        b"\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93"
        b"\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ\xff"
        b"\xff\xff\xffK\x00t\x94bK\x02K\x06\x86\x94\x8c\x01C\x94t\x94R\x94\x8c\x06labels\x94h"
        b"\x04(\x96\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\t\x94h\x08\x8c"
        b"\x02i4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01>\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
        b"\xffK\x00t\x94bK\x02\x85\x94h\x0ft\x94R\x94u."),
    "NumPy 2.4.1, protocol 5, Fortran order, labels as an array": (
        b"\x80\x05\x95\xe5\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04data\x94\x8c\x13numpy._cor"
        b"e.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(\x96\x0c\x00\x00\x00\x00\x00\x00\x00"
        b"\x01\x07\x02\x08\x03\t\x04\n\x05\x0b\x06\x0c\x94\x8c\x05numpy\x94\x8c\x05dtype\x94"
        b"\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00t\x94bK\x02K\x06\x86\x94\x8c\x01F\x94t\x94R\x94\x8c\x06labels"
        b"\x94h\x04(\x96\x10\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\t\x00"
        b"\x00\x00\x00\x00\x00\x00\x94h\x08\x8c\x02i8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<"
        b"\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\x02\x85\x94\x8c\x01C\x94t\x94R"
        b"\x94u."),
}


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
                ({b"labels": [1, 2, 3]}, ((IMAGES, tool.PIXELS), pixels(0), "f4"),
                 r"holds an array of type f4 under \"data\", not of bytes \(u1\)"),
                ({b"labels": [1, 2, 3]}, ((IMAGES, tool.PIXELS), "text"), "type u1 under"),
                ({b"labels": [1, 2, 3]}, ((IMAGES, tool.PIXELS), b"12"), "holds 2 bytes of images, not 9216"),
                ({b"labels": [1, 2, 3]}, (7, pixels(0)), r"shape 7, not \[3, "),
                ({b"labels": [1, 2, 3], b"data": [[1]]}, None, "holds no array under"),
                ({b"labels": [1, 2, 3]}, None, "holds no array under"),
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

    def test_what_numpy_wrote_is_read_whatever_its_version_protocol_and_order(self):
        file = self.folder / "file"
        with unittest.mock.patch.object(tool, "PIXELS", 6):
            for title, written in REAL.items():
                file.write_bytes(written)
                with self.subTest(title):
                    self.assertEqual(list(tool.records(file, (b"labels",), 2)),
                                     [bytes([3, 1, 2, 3, 4, 5, 6]), bytes([9, 7, 8, 9, 10, 11, 12])])

    def test_arrays_in_an_unknown_order_and_labels_that_are_no_bytes_are_refused(self):
        file = self.folder / "file"
        written = REAL["NumPy 2.4.1, protocol 5, Fortran order, labels as an array"]
        for old, new, said in ((b"\x8c\x01F", b"\x8c\x01K", "an array in the unknown order 'K'"),
                               (b"\x8c\x02i8", b"\x8c\x02f8", 'does not hold 2 numbers under "labels"'),
                               (b"\x8c\x02i8", b"\x8c\x02u2", 'does not hold 2 numbers under "labels"'),
                               (b"\x00\x09\x00", b"\x00\x09\x01", 'a label under "labels" is no byte')):
            self.assertEqual(written.count(old), 1)
            file.write_bytes(written.replace(old, new))
            with unittest.mock.patch.object(tool, "PIXELS", 6), self.assertRaisesRegex(tool.Refused, said):
                list(tool.records(file, (b"labels",), 2))

    def test_no_file_runs_code(self):
        file, made = self.folder / "file", self.folder / "made"

        class Hostile:
            def __init__(self, *what):
                self.what = what

            def __reduce__(self):
                return self.what

        made_by = (Hostile(os.mkdir, (str(made),)),
                   Hostile(eval, (f"__import__('os').mkdir({str(made)!r})",)))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for hostile in made_by:
                file.write_bytes(pickle.dumps({b"labels": [hostile]}, protocol))
                with self.assertRaisesRegex(tool.Refused, r"asks for (posix\.mkdir|\w+\.eval), which no"):
                    tool.read(file)
        # What is known by name leads to nothing else.
        for written, said in ((b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "unknown encoding 'rot13'"),
                              (b"cnumpy.core.multiarray\nos.mkdir\n.", "asks for numpy.core.multiarray.os"),
                              (b"cnumpy\ndtype.__init__.__globals__\n.", "asks for numpy.dtype.__init__"),
                              (b"cnumpy\nndarray\n}V__setstate__\nI1\nsb.", "cannot be read")):
            file.write_bytes(written)
            with self.assertRaisesRegex(tool.Refused, said):
                tool.read(file)
        self.assertFalse(made.exists())

    def test_names_that_are_none_are_refused(self):
        source, counts = self.cifar10()
        for content in ({}, {b"label_names": 7}, {b"label_names": [7]}, {b"label_names": [b"\xff"]}):
            self.write(source / "batches.meta", content)
            with self.assertRaisesRegex(tool.Refused, 'meta holds no list of names under "label_names"'):
                tool.convert(source, self.folder / "out", counts)

    def test_an_archive_that_was_cut_or_is_none_is_refused(self):
        source, _ = self.cifar10()
        archive = self.folder / "cifar-10-python.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, source.name)
        whole = archive.read_bytes()
        for content in (b"", b"PK\3\4" * 99, whole[:len(whole) // 2], whole[:99] + bytes(99) + whole[198:]):
            archive.write_bytes(content)
            with tempfile.TemporaryDirectory() as scratch:
                with self.assertRaisesRegex(tool.Refused, r"gz is no complete archive: .+\nhelp: get"):
                    tool.unpacked(archive, scratch)

    def test_a_source_that_is_missing_is_named(self):
        with self.assertRaisesRegex(tool.Refused, "cifar-10-batches-py does not exist\nhelp: name the"):
            tool.convert(self.folder / "nowhere" / "cifar-10-batches-py", self.folder)


if __name__ == "__main__":
    unittest.main()
