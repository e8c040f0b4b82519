#!/usr/bin/env python3
"""Runs a Python example of docs/formats.md: formats_examples_test.py NUMBER

Examples count from 1. A committed run takes the place of the run that the example reads; what the
example leaves in `state` must be that file's tensors. Exits with 77, after a line that says why, if a
package that the example imports is missing.
"""
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import re
import struct
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "tests/data/runs/eb0a1cf/runs/float"
EXAMPLES = 3
WEIGHTS = 3  # reads what `qhost weights` writes: a small file of that form takes its place
SKIPPED = 77


def examples():
    text = (ROOT / "docs/formats.md").read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def missing_packages(code):
    names = re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)
    if "safetensors" in names:
        names.append("numpy")  # safetensors.numpy needs it
    return [name for name in names if importlib.util.find_spec(name) is None]


def expected():
    """The F32 tensors of the run's newest checkpoint: their values, and their shapes."""
    data = (RUN / "latest/checkpoints/step-00000210/state.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    values, shapes = {}, {}
    for name, tensor in json.loads(data[8:8 + length]).items():
        first, last = (8 + length + offset for offset in tensor["data_offsets"])
        shapes[name] = tensor["shape"]
        if tensor["dtype"] == "F32":
            values[name] = [value for (value,) in struct.iter_unpack("<f", data[first:last])]
    return values, shapes


def write_weights(path):
    values, codes = struct.pack("<4f", -0.5, 0.5, 0.5, -0.5), bytes([0, 1, 1, 0])
    header = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
              "w.codes": {"dtype": "U8", "shape": [2, 2], "data_offsets": [16, 20]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + values + codes)


def run(code):
    """Returns the variables of the example and what it printed."""
    variables = {}
    printed = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch:
        runs = pathlib.Path(scratch) / "runs"
        runs.mkdir()
        (runs / "quickstart").symlink_to(RUN, target_is_directory=True)
        write_weights(pathlib.Path(scratch) / "weights.safetensors")
        before = os.getcwd()
        os.chdir(scratch)
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(code, "docs/formats.md", "exec"), variables)
        finally:
            os.chdir(before)
    return variables, printed.getvalue()


def flat(tensor):
    return [float(value) for value in (tensor.ravel() if hasattr(tensor, "ravel") else tensor)]


def main(number):
    found = examples()
    if len(found) != EXAMPLES:
        sys.exit(f"docs/formats.md has {len(found)} Python examples, this test expects {EXAMPLES}")
    code = found[number - 1]
    if missing := missing_packages(code):
        print(f"this Python has no {' and no '.join(missing)}, which the example imports")
        sys.exit(SKIPPED)
    variables, printed = run(code)
    if number == WEIGHTS:
        if printed != "w.codes (2, 2) 1 0.5\n":
            sys.exit(f"example {number} prints {printed!r}")
        return
    state = variables["state"]
    values, shapes = expected()
    for name, value in values.items():
        if name not in state or flat(state[name]) != value:
            sys.exit(f"example {number}: `state` does not have the values of {name}")
    for name in shapes:
        if not any(line.startswith(name + " ") for line in printed.splitlines()):
            sys.exit(f"example {number} does not print {name}")
    print(f"example {number} reads {len(values)} float tensors of {len(shapes)}")


main(int(sys.argv[1]))
