#!/usr/bin/env python3
"""Runs a Python example of docs/packed-format.md: format_examples_test.py NUMBER, counted from 1.

The current folder has net.safetensors and expected.json, the levels of its uniform weight as one
list; what the example leaves in `levels` must be these. Exits with 77, after a line that says why, if
a package that the example imports is missing.
"""
import importlib.util
import json
import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/packed-format.md"
EXAMPLES = 2


def main(number):
    found = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if len(found) != EXAMPLES:
        sys.exit(f"{PAGE.name} has {len(found)} Python examples, this test expects {EXAMPLES}")
    code = found[number - 1]
    names = re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        print(f"this Python has no {' and no '.join(missing)}, which the example imports")
        sys.exit(77)
    variables = {}
    exec(compile(code, PAGE.name, "exec"), variables)
    levels = variables["levels"]
    flat = [float(level) for level in (levels.ravel() if hasattr(levels, "ravel") else levels)]
    if flat != json.loads(pathlib.Path("expected.json").read_text()):
        sys.exit(f"example {number}: `levels` are not the levels of the weight")


main(int(sys.argv[1]))
