#!/usr/bin/env python3
"""Rewrites CIFAR as Python tools keep it into the binary files that qhost reads.

    tools/import_cifar.py data/cifar-10-batches-py data
    qhost run FILE data.root=data

SOURCE is the folder `cifar-10-batches-py` or `cifar-100-python` (torchvision unpacks them), or its archive
cifar-10-python.tar.gz or cifar-100-python.tar.gz. TARGET/cifar-10-batches-bin or TARGET/cifar-100-binary is
written: images and labels in the same order as in the published binary version. Files that were written anew
are read, too: any pickle protocol, an array in C or Fortran order, labels as an array. The files are pickles;
only the parts of which these consist are read, so that no file can run code. Needs nothing but Python.
"""

import argparse
import gzip
import io
import lzma
import pathlib
import pickle
import shutil
import sys
import tarfile
import tempfile
import zlib

PIXELS = 3 * 32 * 32
SETS = {
    "cifar-10-batches-py": ("cifar-10-batches-bin", (b"labels",), {
        **{f"data_batch_{i}": (f"data_batch_{i}.bin", 10000) for i in range(1, 6)},
        "test_batch": ("test_batch.bin", 10000)}, "batches.meta"),
    "cifar-100-python": ("cifar-100-binary", (b"coarse_labels", b"fine_labels"), {
        "train": ("train.bin", 50000), "test": ("test.bin", 10000)}, "meta"),
}
NAMES = {"batches.meta": {"batches.meta.txt": b"label_names"},
         "meta": {"coarse_label_names.txt": b"coarse_label_names",
                  "fine_label_names.txt": b"fine_label_names"}}
NAME_IT = "name the folder that torchvision or tar unpacked, or its archive"


class Refused(Exception):
    """What is wrong, and what to do."""

    def __init__(self, what, help_text="get the published archive again"):
        super().__init__(f"import_cifar: {what}\nhelp: {help_text}")


class Type:
    """What a pickle keeps of a NumPy type: its letter and bytes, such as "u1" or "i8"."""

    order = "little"

    def __init__(self, kind, *_):
        self.kind = kind.decode() if isinstance(kind, bytes) else kind

    def __setstate__(self, state):
        self.order = "big" if state[1] in (">", b">") else "little"

    def integer(self):
        return self.kind in [letter + size for letter in "iu" for size in "1248"]

    def value(self, raw):
        return int.from_bytes(raw, self.order, signed=self.kind[0] == "i")


class Array:
    """What a pickle keeps of a NumPy array. `in_columns`: the first index is the fastest."""

    shape, type, in_columns, raw = (), None, False, b""

    def __init__(self, *_):
        """The arguments of NumPy's _reconstruct only say that the array's state follows."""

    def __setstate__(self, state):
        _, self.shape, self.type, self.in_columns, self.raw = state

    def holds_integers(self):
        return (isinstance(self.type, Type) and self.type.integer()
                and isinstance(self.raw, (bytes, bytearray)))

    def values(self):
        """The integers of an array with one index."""
        size = int(self.type.kind[1:])
        return [self.type.value(self.raw[i:i + size]) for i in range(0, len(self.raw), size)]

    def rows(self):
        """The bytes of an array with two indexes, the last the fastest."""
        if not self.in_columns:
            return self.raw
        rows, columns = self.shape
        out = bytearray(len(self.raw))
        for i in range(columns):
            out[i::columns] = self.raw[i * rows:(i + 1) * rows]
        return out


class Buffer(Array):
    """An array as protocol 5 keeps it."""

    def __init__(self, raw, kind, shape, order, *_):
        if order not in ("C", "F"):
            raise pickle.UnpicklingError(f"an array in the unknown order {order!r}")
        self.__setstate__((1, shape, kind, order == "F", raw))


class Scalar:
    """A single number of NumPy: an integer becomes one of Python, all else is of no interest."""

    def __new__(cls, kind, raw):
        return kind.value(raw) if kind.integer() else None


class Bytes:
    """Bytes as Python 3 stores them for Python 2: text and its encoding, or nothing at all."""

    def __new__(cls, text="", encoding="latin1"):
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes in the unknown encoding {encoding!r}")
        return text.encode("latin1")


class Reader(pickle.Unpickler):
    """Knows NumPy's arrays and nothing else: what a file names is looked up here and never imported."""

    KNOWN = {
        "numpy.ndarray": Array, "numpy.dtype": Type,
        "_codecs.encode": Bytes, "__builtin__.bytes": Bytes, "builtins.bytes": Bytes,
        **{f"numpy.{core}.{name}": known for core in ("core", "_core") for name, known in (
            ("multiarray._reconstruct", Array), ("multiarray.scalar", Scalar),
            ("numeric._frombuffer", Buffer))},
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file holds") from None


def read(path):
    try:
        content = Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except FileNotFoundError:
        raise Refused(f"{path} does not exist") from None
    except Exception as error:  # a damaged pickle raises many types
        raise Refused(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise Refused(f"{path} holds no dictionary")
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


def pixels(path, array, images):
    """The images' bytes, one image after the other."""
    if not isinstance(array, Array):
        raise Refused(f"{path} holds no array under \"data\"")
    if not array.holds_integers() or array.type.kind != "u1":
        kind = array.type.kind if isinstance(array.type, Type) else "unknown"
        raise Refused(f"{path} holds an array of type {kind} under \"data\", not of bytes (u1)")
    if array.shape != (images, PIXELS):
        shape = list(array.shape) if isinstance(array.shape, tuple) else array.shape
        raise Refused(f"{path} holds images of shape {shape}, not [{images}, {PIXELS}]")
    if len(array.raw) != images * PIXELS:
        raise Refused(f"{path} holds {len(array.raw)} bytes of images, not {images * PIXELS}")
    return array.rows()


def numbers(path, key, values, images):
    """The labels: a list as published, or what it became on the way through NumPy."""
    if isinstance(values, Array) and values.holds_integers() and values.shape == (images,):
        values = values.values()
    if not isinstance(values, (list, tuple)) or len(values) != images:
        raise Refused(f"{path} does not hold {images} numbers under \"{key.decode()}\"")
    if not all(isinstance(value, int) and 0 <= value < 256 for value in values):
        raise Refused(f"{path}: a label under \"{key.decode()}\" is no byte")
    return values


def records(path, label_keys, images):
    """Label bytes and pixels of each image, as the binary version has them."""
    content = read(path)
    raw = pixels(path, content.get(b"data"), images)
    labels = [numbers(path, key, content.get(key), images) for key in label_keys]
    for i in range(images):
        yield bytes(values[i] for values in labels) + raw[i * PIXELS:(i + 1) * PIXELS]


def label_names(path, key, content):
    try:
        names = [n.decode() if isinstance(n, bytes) else n for n in content[key]]
        return "".join(n + "\n" for n in names)
    except (KeyError, TypeError, UnicodeDecodeError):
        raise Refused(f"{path} holds no list of names under \"{key.decode()}\"") from None


def convert(source, target, counts=None):
    """Writes the folder of the set below `target`; `counts` replaces the numbers of images."""
    if not source.exists():
        raise Refused(f"{source} does not exist", NAME_IT)
    if source.name not in SETS:
        raise Refused(f"{source} is neither {' nor '.join(SETS)}", NAME_IT)
    folder, label_keys, files, meta = SETS[source.name]
    final = target / folder
    if final.exists():
        raise Refused(f"{final} exists already", "remove it, or name another target")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        new = pathlib.Path(scratch) / folder
        new.mkdir()
        for name, (binary, images) in files.items():
            with open(new / binary, "wb") as out:
                for record in records(source / name, label_keys, (counts or {}).get(name, images)):
                    out.write(record)
        names = read(source / meta)
        for file, key in NAMES[meta].items():
            (new / file).write_text(label_names(source / meta, key, names), encoding="utf-8")
        shutil.move(new, final)
    return final


def unpack(archive, scratch):
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = pathlib.PurePosixPath(member.name).parts
            if not member.isfile() or len(parts) != 2 or parts[0] not in SETS:
                continue
            place = pathlib.Path(scratch) / parts[0]
            place.mkdir(exist_ok=True)
            (place / pathlib.PurePosixPath(parts[1]).name).write_bytes(tar.extractfile(member).read())


def unpacked(archive, scratch):
    """The one folder of the archive, with its regular files."""
    try:
        unpack(archive, scratch)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise Refused(f"{archive} is no complete archive: {reason}") from None
    folders = list(pathlib.Path(scratch).iterdir())
    if len(folders) != 1:
        raise Refused(f"{archive} holds none of {', '.join(SETS)}")
    return folders[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    arguments = parser.parse_args()
    source = arguments.source
    try:
        if source.is_file():
            with tempfile.TemporaryDirectory() as scratch:
                print(convert(unpacked(source, scratch), arguments.target))
        else:
            print(convert(source if source.name in SETS else source.resolve(), arguments.target))
    except (Refused, OSError) as error:
        sys.exit(str(error) if isinstance(error, Refused) else f"import_cifar: {error}")


if __name__ == "__main__":
    main()
