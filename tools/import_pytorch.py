#!/usr/bin/env python3
"""Turns a PyTorch state_dict (.pth, .pt, .ckpt) into a .safetensors file that `train.init_from` reads.

    tools/import_pytorch.py resnet20.pth resnet20.safetensors
    qhost run FILE train.init_from=resnet20.safetensors

The file may contain the state_dict itself or a checkpoint with one under "state_dict", "model_state_dict",
"model" or "net". --key names any other (`--key state_dict_ema`, `--key ema.module`). Where the choice is not
clear, the error lists what the file holds.

A prefix that all names have (module., _orig_mod., model.) is removed; num_batches_tracked and n_averaged
are left out. Names are not changed otherwise: `qhost describe ARCHITECTURE` lists the naming schemes that
qhost reads. Tensors become float32. Impossible values (NaN, infinity, integers, values beyond float32, a
negative running_var) and sparse or quantized tensors are refused. After an error nothing is written, and
a file that was there stays as it is. The written tensors are listed; qhost checks every name and shape
when it reads the file.

Needs PyTorch 2.6 or newer (2.10 for a file whose source you do not trust). The file is read with
weights_only, and what it names beside tensors (argparse.Namespace, NumPy's scalars) is replaced by
classes that keep and do nothing: no code that the file names is run.
"""

import argparse
import collections
import contextlib
import ctypes
import io
import itertools
import json
import math
import os
import pathlib
import pickle
import pickletools
import re
import shlex
import stat
import struct
import sys
import tempfile
import warnings
import zipfile
import zlib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

USUAL_KEYS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")
COUNTERS = ("num_batches_tracked", "n_averaged")
FLOATS = ("float16", "bfloat16", "float32", "float64")
AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|averaged?|shadow|teacher)([._]|$)", re.IGNORECASE)
# What qhost reads (framework/storage/safetensors.h).
MOST_RANK, MOST_NAME_BYTES, MOST_HEADER_BYTES, MOST_BYTES = 8, 4096, 16 << 20, 16 << 30
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # what torch.save() wrote first before PyTorch 1.6
CODE_MODULES = {"ctypes", "importlib", "nt", "os", "posix", "pty", "runpy", "shutil", "socket",
                "subprocess", "sys"}
CODE_BUILTINS = {"__import__", "breakpoint", "compile", "eval", "exec", "input", "open"}
SAVE_STATE_DICT = "save a state_dict: torch.save(model.state_dict(), FILE)"
NO_MODEL = ("a whole model is not read, since that runs its code; where its class is known, "
            + SAVE_STATE_DICT)
COPY_AGAIN = "copy or download the file again"
MOST_LINES = 20


class Refused(Exception):
    """What is wrong with `where` (the source if None), and what to do."""

    def __init__(self, what, help_text, where=None):
        super().__init__(what)
        self.help, self.where = help_text, where


# ---- texts

def shown(text):
    """A name as it may be printed: what a terminal would not show or would obey is escaped."""
    return text if text.isprintable() else ascii(text)[1:-1]


def shorter(lines):
    """At most MOST_LINES lines."""
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more"]


def indented(lines):
    return "".join(f"\n  {line[:200]}" for line in shorter(lines))


def counted(count, one, many=None):
    return f"{count} {one if count == 1 else many or one + 's'}"


def note(text):
    print(f"note: {text}", file=sys.stderr)


# ---- the source: what file it is

def check_magic(head, size):
    """Refuses what the first bytes show to be no file of torch.save()."""
    if not head:
        raise Refused("the file is empty (0 bytes)", COPY_AGAIN)
    if head[8:9] == b"{" and 8 + struct.unpack("<Q", head[:8])[0] <= size:
        raise Refused("this is a .safetensors file already, not one of torch.save()",
                      "give it to qhost as it is: train.init_from=FILE")
    if head[257:262] == b"ustar":
        raise Refused("this is a tar archive, not a file of torch.save()",
                      "unpack it with tar -xf and give the file in it; PyTorch reads its own tar files "
                      "of 2016 only without weights_only")
    if head[:4] != b"PK\3\4" and head[:1] != b"\x80":
        raise Refused(f"the file begins with {head[:12]!r}; one of torch.save() begins with "
                      f"{b'PK'!r} or {bytes([0x80])!r}",
                      "name a file that torch.save() wrote; unpack a compressed one first")


def data_pickle(archive):
    """The record of a torch.save() archive with the objects."""
    records = archive.namelist()
    if any(record.endswith("/constants.pkl") for record in records):
        raise Refused("this is a TorchScript archive (it has constants.pkl), not a state_dict",
                      "torch.save(torch.jit.load(FILE).state_dict(), NEW), then import NEW")
    found = [record for record in records if record.split("/")[1:] == ["data.pkl"]]
    if len(found) != 1:
        raise Refused(f"this is a zip archive with {len(found)} data.pkl; one of torch.save() has 1. It "
                      f"holds {', '.join(map(shown, records[:5])) or 'nothing'}", SAVE_STATE_DICT)
    return found[0]


def pickle_of_archive(file):
    """The bytes of data.pkl. Compares all checksums: torch.load() does not."""
    if not zipfile.is_zipfile(file):
        raise Refused("the file is damaged or cut short: a zip archive whose end is missing", COPY_AGAIN)
    try:
        with zipfile.ZipFile(file) as archive:
            record = data_pickle(archive)
            for entry in archive.infolist():
                entry.CRC = entry.CRC or None  # 0: torch.save() was told to compute none
                with archive.open(entry) as stream:
                    while stream.read(1 << 20):
                        pass
            return archive.read(record)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise Refused(f"the file is damaged or cut short: {shown(str(error))}", COPY_AGAIN) from error


def globals_of(stream):
    """The functions and classes that the next pickle of the stream names, under today's names."""
    names = set()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "PROTO" and argument > 3:
            raise Refused(f"the file has pickle protocol {argument}; weights_only reads protocol 2",
                          "save it without pickle_protocol: torch.save(model.state_dict(), FILE)")
        if opcode.name == "GLOBAL":
            module, name = argument.split(" ", 1)
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            names.add(f"{module}.{name}")
    return names


def globals_of_legacy(file):
    """The same of a file from before PyTorch 1.6: four pickles, then the values."""
    if LEGACY_MAGIC not in [argument for _, argument, _ in pickletools.genops(file)]:
        raise Refused("this is a pickle, but torch.save() did not write it", SAVE_STATE_DICT)
    return set().union(*(globals_of(file) for _ in range(3)))


def globals_in(file, size):
    """Checks what file this is, and returns the functions and classes that it names."""
    head = file.read(512)
    check_magic(head, size)
    file.seek(0)
    try:
        if head[:2] == b"PK":
            return globals_of(io.BytesIO(pickle_of_archive(file)))
        return globals_of_legacy(file)
    except ValueError as error:  # of pickletools
        raise Refused(f"the file is damaged or cut short: {shown(str(error))}", COPY_AGAIN) from error


def require_harmless(names):
    """Refuses a file that would run code elsewhere. Here it could not: see stand_in()."""
    for name in sorted(names):
        module, _, last = name.rpartition(".")
        if module.split(".")[0] in CODE_MODULES or (module == "builtins" and last in CODE_BUILTINS):
            raise Refused(f"the file calls {shown(name)}, which can run commands; weights need no such "
                          "call", "load this file with nothing; take weights from a source you trust")


# ---- the source: its content

class StandIn:
    """Takes the place of every class and function that is no tensor: it keeps and does nothing."""

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, _):
        pass

    def __setitem__(self, *_):  # PyTorch before 2.10 puts entries into any object
        pass


def name_of(stand_in_class):
    return f"{stand_in_class.__module__}.{stand_in_class.__qualname__}"


def stand_in(name, container):
    """The class for `name`. `container`: what its objects are instead, if they take entries."""
    def new(cls, *_, **__):
        return container() if container else object.__new__(cls)

    module, _, last = name.rpartition(".")
    return type(last, (StandIn,), {"__new__": new, "__module__": module, "__qualname__": last})


def load(torch, file, names):
    """torch.load() with stand-ins. PyTorch puts entries into exact dictionaries and lists only: a class
    that it refuses for that (defaultdict, a configuration) becomes one, and it tries again."""
    containers = dict.fromkeys(names)
    while True:
        file.seek(0)
        try:
            with torch.serialization.safe_globals([stand_in(*item) for item in containers.items()]):
                return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            text = str(error)
            refused = [name for name in names if not containers[name] and f"<class '{name}'>" in text]
            if not refused:
                raise
            containers[refused[0]] = collections.OrderedDict if "SETITEM" in text else list


def reason_of(error):
    """One line of an exception of torch.load(), without its advice to trust the file."""
    text = str(error).split("WeightsUnpickler error:")[-1].strip()
    return shown(f"{type(error).__name__}: {text.splitlines()[0] if text else 'no reason given'}")


def refusal(error, names):
    """The error for an exception of torch.load(), with the names that a plain state_dict has not."""
    reason = reason_of(error)
    usual = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_parameter",
             "collections.OrderedDict", "builtins.set")
    odd = [shown(name) for name in sorted(names) if not name.startswith(usual) and "Storage" not in name]
    named = f"{', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''}"
    if "Only persistent_load of storage is allowed" in reason:  # of a file before PyTorch 1.6
        return Refused(f"the file holds a whole pickled model ({named})", NO_MODEL)
    help_text = COPY_AGAIN if isinstance(error, EOFError) or "corrupt" in reason else SAVE_STATE_DICT
    return Refused(f"the file cannot be read: {reason}{'; it names ' + named if odd else ''}", help_text)


def read(torch, source):
    """The content of the file, tensors on the CPU."""
    names = set()
    try:
        if not stat.S_ISREG(os.stat(source).st_mode):
            what = "a directory" if source.is_dir() else "not a regular file"
            raise Refused(f"this is {what}; needed is a file of torch.save()", "name the file itself")
        with open(source, "rb") as file:
            names = globals_in(file, os.fstat(file.fileno()).st_size)
            require_harmless(names)
            return load(torch, file, names)
    except Refused:
        raise
    except FileNotFoundError as error:
        raise Refused("there is no such file", "name a file that torch.save() wrote") from error
    except OSError as error:
        raise Refused(f"the file cannot be read: {error.strerror or error}",
                      "check the path and its permissions") from error
    except Exception as error:  # torch.load() throws exceptions of many types
        raise refusal(error, names) from error


# ---- the state_dict in it

def describe(value, is_tensor):
    """What this value is, in words."""
    if isinstance(value, dict):
        names = [shown(str(key)) for key, entry in value.items() if is_tensor(entry)]
        if not names:
            return f"a dictionary of {counted(len(value), 'entry', 'entries')} without tensors"
        return (f"a dictionary of {counted(len(names), 'tensor')}: {', '.join(names[:3])}"
                f"{', ...' if len(names) > 3 else ''}")
    if is_tensor(value):
        return f"a tensor of shape {list(value.shape)}"
    if isinstance(value, StandIn):
        return f"{name_of(type(value))} (not read)"
    if isinstance(value, (bool, int, float, str)):
        return f"{type(value).__name__} {shown(repr(value)[:40])}"
    return f"a {type(value).__name__}"


def tensor_dictionaries(content, is_tensor, path=()):
    """(path, dictionary) of all dictionaries of tensors, but those of an optimizer."""
    found = []
    if len(path) < 4:
        for key, value in content.items():
            if isinstance(key, str) and isinstance(value, dict) and not key.startswith("optim"):
                found += tensor_dictionaries(value, is_tensor, (*path, key))
    tensors = [value for value in content.values() if is_tensor(value)]
    # Beside dictionaries of tensors, a number may be a tensor, too: an accuracy.
    if any(tensor.dim() > 0 for tensor in tensors) or (tensors and not found):
        found.insert(0, (path, content))
    return found


def inventory(content, is_tensor):
    """What the file holds, for an error: one line a key."""
    lines = []
    for key, value in content.items():
        inner = tensor_dictionaries(value, is_tensor, (str(key),)) if isinstance(value, dict) else []
        for path, part in inner or [((str(key),), value)]:
            lines.append(f"{shown('.'.join(path))}: {describe(part, is_tensor)}")
    return indented(lines)


def dotted(path):
    return shown(".".join(path))


def options(found):
    """The arguments that take one of these dictionaries."""
    keys = [f"--key {shown(shlex.quote('.'.join(path)))}" for path, _ in found if path]
    more = " or another one" if len(keys) > 4 else ""
    return f"take it with {' or '.join(keys[:4])}{more}" if keys else ""


def values_at(content, key):
    """What is under KEY, where dots lead into inner dictionaries: the exact name first; empty if nothing."""
    if not isinstance(content, dict):
        return []
    exact = [value for name, value in content.items() if str(name) == key]
    inner = [values_at(value, key[len(str(name)) + 1:]) for name, value in content.items()
             if key.startswith(f"{name}.")]
    return exact + [value for values in inner for value in values]


def require_dictionary(content, is_tensor):
    if isinstance(content, StandIn):
        raise Refused(f"the file holds a whole pickled object of {shown(name_of(type(content)))}, not a "
                      "dictionary of tensors", NO_MODEL)
    if not isinstance(content, dict):
        raise Refused(f"the file holds {describe(content, is_tensor)}, not a dictionary of tensors",
                      SAVE_STATE_DICT)


def find_under(content, is_tensor, key):
    """(path, state_dict) under --key: the dictionary itself, or the only one in it."""
    values = values_at(content, key)
    if not values:
        raise Refused(f"the file has no key {key!r}. It holds:{inventory(content, is_tensor)}",
                      options(tensor_dictionaries(content, is_tensor)) or "leave out --key")
    value = values[0]
    found = tensor_dictionaries(value, is_tensor, (key,)) if isinstance(value, dict) else []
    if not found:
        raise Refused(f"{key!r} is {describe(value, is_tensor)}, not a dictionary of tensors. The file "
                      f"holds:{inventory(content, is_tensor)}",
                      options(tensor_dictionaries(content, is_tensor)) or SAVE_STATE_DICT)
    if len(found) > 1 and found[0][0] != (key,):
        raise Refused(f"{key!r} holds {len(found)} dictionaries of tensors:"
                      f"{inventory(value, is_tensor)}", options(found))
    return found[0]


def find_state_dict(content, is_tensor, key=None):
    """(path, state_dict, the other dictionaries of tensors). Takes what is clear, and nothing else."""
    require_dictionary(content, is_tensor)
    if key is not None:
        return *find_under(content, is_tensor, key), []
    found = tensor_dictionaries(content, is_tensor)
    if not found:
        raise Refused(f"the file holds no dictionary of tensors:{inventory(content, is_tensor)}"
                      if content else "the file holds an empty dictionary",
                      NO_MODEL if any(isinstance(value, StandIn) for value in content.values())
                      else SAVE_STATE_DICT)
    usual = [item for item in found if item[0] and all(part in USUAL_KEYS for part in item[0])]
    # Names of one and the same dictionary are one choice.
    if usual and all(part is usual[0][1] for _, part in usual):
        paths = [path for path, _ in usual]
        return *usual[0], [item for item in found if item[0] and item[0] not in paths]
    if len(found) == 1 and not AVERAGED.search(".".join(found[0][0])):
        return *found[0], []
    what = ("which dictionary of tensors to take is not clear" if len(found) > 1 else
            "the only dictionary of tensors seems to be an average (EMA)")
    loose = "" if found[0][0] else "; for the tensors beside dictionaries, " + SAVE_STATE_DICT
    raise Refused(f"{what}:{inventory(content, is_tensor)}", options(found) + loose)


def require_tensors(state, is_tensor):
    """Refuses a dictionary that holds anything else."""
    for key in state:
        if not isinstance(key, str):
            raise Refused(f"the name {key!r} of a tensor is of type {type(key).__name__}, not a text",
                          SAVE_STATE_DICT)
    others = [f"{shown(name)}: {describe(value, is_tensor)}" for name, value in state.items()
              if not is_tensor(value)]
    if others:
        packed = any("_packed_params" in name for name in state)
        what = counted(len(others), "is no tensor", "are no tensors")
        raise Refused(f"of {len(state)} entries, {what}:{indented(others)}",
                      "these are quantized modules: save the state_dict of the float network" if packed
                      else SAVE_STATE_DICT)


# ---- names

def common_prefix(names):
    """What DataParallel, torch.compile and Lightning put before all names."""
    prefix = ""
    while True:
        longer = [prefix + part for part in PREFIXES
                  if all(name.startswith(prefix + part) and name != prefix + part for name in names)]
        if not longer:
            return prefix
        prefix = longer[0]


def without_counters(state):
    """The tensors without PyTorch's counters, and how many of each were left out."""
    last = {name: name.split(".")[-1] for name in state}
    left_out = collections.Counter(what for what in last.values() if what in COUNTERS)
    return {name: tensor for name, tensor in state.items() if last[name] not in COUNTERS}, left_out


def wrong_name(name):
    """Why no file for qhost can have this name; empty if one can."""
    try:
        count = len(name.encode())
    except UnicodeEncodeError:
        return "is no valid Unicode text"
    if count > MOST_NAME_BYTES:
        return f"has {count} bytes, at most {MOST_NAME_BYTES} are read"
    if name == "__metadata__":
        return "is reserved in a .safetensors file"
    return "has a /, which separates other things in qhost's files" if "/" in name else ""


def require_names(state):
    wrong = [f"{shown(name)[:80]} {why}" for name in sorted(state) if (why := wrong_name(name))]
    if wrong:
        raise Refused(f"{counted(len(wrong), 'name')} cannot be kept:{indented(wrong)}",
                      "rename them in the state_dict and save it again")


# ---- values

def wrong_kind(tensor):
    """(why this tensor has no float32 values of its own, what to do); None if it has."""
    dtype, layout = (str(what).removeprefix("torch.") for what in (tensor.dtype, tensor.layout))
    if tensor.is_quantized:
        return f"is quantized ({dtype})", "save the floats: tensor.dequantize(), or the float network's"
    if tensor.is_nested:
        return "is a nested tensor", "save it as one tensor: tensor.to_padded_tensor(0)"
    if layout != "strided":
        return f"is sparse or packed ({layout})", "save it dense: tensor.to_dense()"
    if tensor.is_meta:
        return "has a shape and no values (device meta)", "save the network after its weights are loaded"
    if dtype not in FLOATS:
        return (f"{counted(tensor.numel(), 'value')} of type {dtype}",
                "of a quantized network save the floats that its numbers stand for")
    if tensor.dim() > MOST_RANK:
        return f"has {tensor.dim()} dimensions, at most {MOST_RANK} are read", "reshape it"
    return None


def wrong_values(name, tensor):
    """The impossible values in this tensor, one phrase each."""
    elements = tensor.numel()
    infinite = int(tensor.isinf().sum())
    counts = [(int(tensor.isnan().sum()), "nan"), (infinite, "infinite"),
              (int(tensor.float().isinf().sum()) - infinite, "beyond float32")]
    if name.split(".")[-1] == "running_var":
        counts.append((int((tensor < 0).sum()), "negative"))
    return [f"{count} of {elements} values {'is' if count == 1 else 'are'} {what}"
            for count, what in counts if count]


def require_values(state):
    """Refuses tensors of other kinds, then tensors too large in sum, then impossible values."""
    kinds = {name: kind for name, tensor in sorted(state.items()) if (kind := wrong_kind(tensor))}
    if kinds:
        raise Refused(f"{counted(len(kinds), 'tensor')} of {len(state)} cannot become float32:" +
                      indented([f"{shown(name)}: {what}" for name, (what, _) in kinds.items()]),
                      "; ".join(dict.fromkeys(help_text for _, help_text in kinds.values())))
    count = 4 * sum(tensor.numel() for tensor in state.values())
    if count > MOST_BYTES:
        raise Refused(f"the tensors have {count} bytes as float32, at most {MOST_BYTES} are read",
                      "save the weights only")
    wrong = [f"{shown(name)}: {phrase}" for name, tensor in sorted(state.items())
             for phrase in wrong_values(name, tensor)]
    if wrong:
        raise Refused(f"the weights cannot be right:{indented(wrong)}",
                      "take a checkpoint from before the training diverged")


def float32_bytes(tensor):
    """The values in C order, whatever the tensor's type and strides. Needs no NumPy."""
    tensor = tensor.detach().resolve_neg().float().contiguous()
    count = 4 * tensor.numel()
    return bytes((ctypes.c_char * count).from_address(tensor.data_ptr())) if count else b""


# ---- the target

def check_target(target, source):
    """Refuses, before anything is read, a target that cannot be replaced as a whole."""
    help_text = "name a file; it is replaced as a whole"
    folder = os.path.dirname(os.path.realpath(target))
    try:
        if not os.path.isdir(folder):
            raise Refused(f"there is no folder {folder}", f"mkdir -p {folder}", target)
        if not stat.S_ISREG(os.stat(target).st_mode):
            what = "a directory" if os.path.isdir(target) else "not a regular file"
            raise Refused(f"the target is {what}", help_text, target)
        if os.path.exists(source) and os.path.samefile(target, source):
            raise Refused("source and target are the same file", "name another target", target)
    except FileNotFoundError:  # as usual
        return
    except OSError as error:
        raise Refused(f"cannot be written: {error.strerror}", help_text, target) from error


def header(shapes):
    """The first bytes of a .safetensors file of float32 tensors in the order of their names."""
    entries, end = {}, 0
    for name, shape in sorted(shapes.items()):
        begin, end = end, end + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MOST_HEADER_BYTES:
        raise Refused(f"the names and shapes take {len(text)} bytes, at most {MOST_HEADER_BYTES} are "
                      "read", "save the weights only, under shorter names")
    return struct.pack("<Q", len(text)) + text


def mode_of(target):
    """The permissions that the new file gets: those of the old one, or the usual ones."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(os.stat(target).st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write(target, parts):
    """Writes a temporary file beside the target and renames it: the target is whole at all times."""
    target = os.path.realpath(target)  # follow a link instead of replacing it
    try:
        handle, temporary = tempfile.mkstemp(prefix=".import_pytorch.", dir=os.path.dirname(target))
        try:
            with os.fdopen(handle, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fchmod(file.fileno(), mode_of(target))
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise Refused(f"cannot be written: {error.strerror or error}",
                      "check the folder's permissions and the free space", target) from error


# ---- the command

def import_torch():
    warnings.simplefilter("ignore")  # PyTorch's, of NumPy and of sparse tensors
    try:
        import torch
    except (ImportError, OSError) as error:
        sys.exit(f"import_pytorch: this Python has no PyTorch ({error})\n"
                 "help: pip install torch, or call this script with a Python that has it")
    version = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    if version < (2, 6):
        sys.exit(f"import_pytorch: PyTorch {torch.__version__} can run a file's code even with "
                 "weights_only; needed is 2.6 or newer\nhelp: pip install --upgrade torch")
    return torch


def explain_choice(path, others):
    if others:
        kept = ", ".join(f"{dotted(path)} ({len(part)} entries)" for path, part in others[:4])
        note(f"{dotted(path)} is taken; the file also holds {kept}: {options(others)}")
    elif path and not all(part in USUAL_KEYS for part in path):
        note(f"{dotted(path)} is taken")


def explain_changes(prefix, left_out, state):
    if prefix:
        note(f"the prefix {prefix} is removed from all {len(state)} names")
    if left_out:
        parts = ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
        averaged = " (these weights are averages: torch.optim.swa_utils.AveragedModel)"
        note(f"left out: {parts}{averaged if 'n_averaged' in left_out else ''}")
    types = collections.Counter(str(tensor.dtype).removeprefix("torch.") for tensor in state.values())
    other = [f"{count} of {dtype}" for dtype, count in sorted(types.items()) if dtype != "float32"]
    if other:
        note(f"{', '.join(other)} became float32")


def convert(torch, source, target, key):
    """Converts the file, and returns the shapes by name."""
    check_target(target, source)
    path, state, others = find_state_dict(read(torch, source), torch.is_tensor, key)
    require_tensors(state, torch.is_tensor)
    state, left_out = without_counters(state)
    if not state:
        raise Refused("the dictionary holds no tensors but counters", SAVE_STATE_DICT)
    try:
        require_values(state)
        prefix = common_prefix(state)
        state = {name[len(prefix):]: tensor for name, tensor in state.items()}
        require_names(state)
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        write(target, itertools.chain([header(shapes)],
                                      (float32_bytes(state[name]) for name in sorted(state))))
    except (MemoryError, RuntimeError) as error:
        raise Refused(f"the tensors cannot become float32: {reason_of(error)}",
                      SAVE_STATE_DICT) from error
    explain_choice(path, others)
    explain_changes(prefix, left_out, state)
    return shapes


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path, help="the file that torch.save() wrote")
    parser.add_argument("target", type=pathlib.Path, help="the .safetensors file to write")
    parser.add_argument("--key", help="where in the source the state_dict is; dots lead into inner "
                                      "dictionaries: ema.module")
    given = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show
    try:
        shapes = convert(import_torch(), given.source, given.target, given.key)
    except Refused as error:
        sys.exit(f"import_pytorch: {error.where or given.source}: {error}\nhelp: {error.help}")
    except KeyboardInterrupt:
        sys.exit("import_pytorch: interrupted; nothing is written")
    try:
        for name in sorted(shapes):
            print(shown(name), list(shapes[name]))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; the file is written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
