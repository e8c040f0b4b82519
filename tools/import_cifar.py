#!/usr/bin/env python3
"""Rewrites CIFAR as Python tools keep it into the binary files that qhost reads.

    tools/import_cifar.py data/cifar-10-batches-py data
    qhost run FILE data.root=data

SOURCE is the folder `cifar-10-batches-py` or `cifar-100-python` (torchvision unpacks them), or its archive
cifar-10-python.tar.gz or cifar-100-python.tar.gz. TARGET/cifar-10-batches-bin or TARGET/cifar-100-binary is
written: images and labels in the same order as in the published binary version. The files are pickles; only
the parts of which these consist are read, so that no file can run code. Needs nothing but Python.
"""

import argparse
import io
import pathlib
import pickle
import shutil
import sys
import tarfile
import tempfile

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


class Refused(Exception):
    """What is wrong, and what to do."""

    def __init__(self, what, help_text="get the published archive again"):
        super().__init__(f"import_cifar: {what}\nhelp: {help_text}")


class Array:
    """What a pickle keeps of a NumPy array."""

    shape, raw, kind = (), b"", ""

    def __setstate__(self, state):
        _, self.shape, dtype, in_columns, self.raw = state
        self.kind = dtype.kind
        if in_columns or isinstance(self.raw, str):
            raise pickle.UnpicklingError("an array of an unknown layout")


class Type:
    """What a pickle keeps of a NumPy type."""

    def __init__(self, kind, *_):
        self.kind = kind.decode() if isinstance(kind, bytes) else kind

    def __setstate__(self, state):
        """The byte order, which single bytes do not have."""


class Reader(pickle.Unpickler):
    """Knows NumPy's arrays and nothing else."""

    def find_class(self, module, name):
        if name == "_reconstruct" and module.startswith("numpy"):
            return lambda *_: Array()
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return Array if name == "ndarray" else Type
        if (module, name) == ("_codecs", "encode"):  # bytes, as Python 3 stores them for Python 2
            return lambda text, encoding: text.encode(encoding)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file holds")


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


def records(path, label_keys, images):
    """Label bytes and pixels of each image, as the binary version has them."""
    content = read(path)
    pixels = content.get(b"data")
    labels = [content.get(key) for key in label_keys]
    if not isinstance(pixels, Array) or pixels.kind not in ("u1", "B", "uint8"):
        raise Refused(f"{path} holds no bytes under \"data\"")
    if tuple(pixels.shape) != (images, PIXELS) or len(pixels.raw) != images * PIXELS:
        raise Refused(f"{path} holds images of shape {list(pixels.shape)}, not [{images}, {PIXELS}]")
    for key, values in zip(label_keys, labels):
        if not isinstance(values, list) or len(values) != images:
            raise Refused(f"{path} does not hold {images} numbers under \"{key.decode()}\"")
        if not all(isinstance(value, int) and 0 <= value < 256 for value in values):
            raise Refused(f"{path}: a label under \"{key.decode()}\" is no byte")
    for i in range(images):
        yield bytes(values[i] for values in labels) + pixels.raw[i * PIXELS:(i + 1) * PIXELS]


def convert(source, target, counts=None):
    """Writes the folder of the set below `target`; `counts` replaces the numbers of images."""
    if source.name not in SETS:
        raise Refused(f"{source} is neither {' nor '.join(SETS)}",
                      "name the folder that torchvision or tar unpacked, or its archive")
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
            lines = [n.decode() if isinstance(n, bytes) else n for n in names.get(key, [])]
            (new / file).write_text("".join(line + "\n" for line in lines))
        shutil.move(new, final)
    return final


def unpacked(archive, scratch):
    """The one folder of the archive, with its regular files."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = pathlib.PurePosixPath(member.name).parts
            if not member.isfile() or len(parts) != 2 or parts[0] not in SETS:
                continue
            place = pathlib.Path(scratch) / parts[0]
            place.mkdir(exist_ok=True)
            (place / pathlib.PurePosixPath(parts[1]).name).write_bytes(tar.extractfile(member).read())
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
            print(convert(source.resolve(), arguments.target))
    except (Refused, tarfile.TarError, OSError) as error:
        sys.exit(str(error) if isinstance(error, Refused) else f"import_cifar: {error}")


if __name__ == "__main__":
    main()
