"""qhost's engine through its C interface, and packed files by qhost's command line."""
import ctypes
import os
import pathlib
import subprocess
import sys

import numpy


class Error(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 1024)]


class Library:
    def __init__(self, path):
        try:
            self.lib = ctypes.CDLL(str(path))
        except OSError as error:
            sys.exit(f"{error}\nhelp: build qhost; --library names libqhost_runtime.so")
        pointer, error = ctypes.c_void_p, ctypes.POINTER(Error)
        for name, result, arguments in [
                ("qhost_runtime_version", ctypes.c_char_p, []),
                ("qhost_model_load", pointer, [ctypes.c_char_p, error]),
                ("qhost_model_free", None, [pointer]),
                ("qhost_model_input", None, [pointer, ctypes.POINTER(ctypes.c_size_t)]),
                ("qhost_model_classes", ctypes.c_size_t, [pointer]),
                ("qhost_model_kernels", ctypes.c_char_p, [pointer]),
                ("qhost_runner_new", pointer, [pointer, ctypes.c_int, error]),
                ("qhost_runner_free", None, [pointer]),
                ("qhost_runner_run", None, [pointer, pointer, ctypes.c_size_t, pointer])]:
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments

    def version(self):
        return self.lib.qhost_runtime_version().decode()


class Runner:
    """A packed file with memory and threads to run it."""

    def __init__(self, library, path, threads=1):
        self.lib, error = library.lib, Error()
        self.model = self.runner = None
        self.model = self.lib.qhost_model_load(os.fsencode(path), error)
        self.runner = self.model and self.lib.qhost_runner_new(self.model, threads, error)
        if not self.runner:
            sys.exit(f"{path}: {error.text.decode(errors='replace')}")
        shape = (ctypes.c_size_t * 3)()
        self.lib.qhost_model_input(self.model, shape)
        self.shape = tuple(shape)
        self.classes = self.lib.qhost_model_classes(self.model)
        self.kernels = self.lib.qhost_model_kernels(self.model).decode()

    def bind(self, images):
        """A function without arguments that runs these images, and the array that it fills."""
        images = numpy.ascontiguousarray(images, numpy.float32)
        assert images.shape[1:] == self.shape, (images.shape, self.shape)
        logits = numpy.zeros((len(images), self.classes), numpy.float32)
        run, runner, count = self.lib.qhost_runner_run, self.runner, len(images)
        source, target = images.ctypes.data, logits.ctypes.data

        def call(_keep=(images, logits, self)):
            run(runner, source, count, target)
        return call, logits

    def __del__(self):
        self.lib.qhost_runner_free(self.runner)
        self.lib.qhost_model_free(self.model)


RESNET18 = 'family = "imagenet"\ndepth = 18\n'
# That of experiments/resnet20_xnor.toml.
RESNET20 = 'depth = 20\nshortcut = "A"\nblock = "bireal"\npreactivation = true\n'
XNOR = 'name = "xnornet"\ninput_scale = "none"\n'
# Keys of [model] and [quantizer].
NETWORKS = {"resnet18_xnor": (RESNET18, XNOR), "resnet20_xnor": (RESNET20, XNOR),
            "resnet18_ptq": (RESNET18, 'name = "ptq_static"\n'),
            "resnet18_bwn": (RESNET18, 'name = "bwn"\n')}


def packed_network(program, name, data, folder):
    """The packed file of an untrained network in `folder`; one that is there is used as it is."""
    folder = pathlib.Path(folder)
    path = folder / f"{name}.safetensors"
    if path.is_file():
        return path
    model, quantizer = NETWORKS[name]
    (folder / f"{name}.toml").write_text(
        f'[data]\nname = "cifar10"\n[model]\nname = "resnet"\n{model}[quantizer]\n{quantizer}')
    print(f"making {path.name}", file=sys.stderr, flush=True)
    run = folder / f"{name}.run"
    for command in (
            [program, "run", f"{name}.toml", "--run-dir", run, "train.epochs=0",
             'train.verify="off"', f'data.root="{pathlib.Path(data).resolve()}"'],
            [program, "export", run, "-o", path]):
        done = subprocess.run([str(word) for word in command], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return path
