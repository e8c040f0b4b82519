#!/usr/bin/env python3
"""Checks that the documents are still true: check_docs.py [QHOST_PROGRAM]

The target of every relative link of a Markdown file exists; every C++ block of docs/plugins.md compiles
against the SDK, warnings being errors; and, when the program is given, every experiment in
experiments/ and every whole one in README.md passes its validation.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TORCH = pathlib.Path(os.environ.get("QHOST_TORCH_DIR") or ROOT / ".deps/torch/torch")


def markdown_files():
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).exists()]


def blocks(file, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", file.read_text(), re.MULTILINE | re.DOTALL)


def dead_links(file):
    text = re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path = target.partition("#")[0]
        if path and "://" not in target and not (file.parent / path).exists():
            yield f"{file.relative_to(ROOT)}: the link to {target} leads nowhere"


def compile_errors(file):
    version = (TORCH / "include/torch/headeronly/version.h").read_text()
    numbers = [f"-DQHOST_TORCH_{part}={value}" for part, value in
               re.findall(r"#define TORCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)", version)]
    for number, code in enumerate(blocks(file, "cpp"), 1):
        name = re.search(r"QHOST_PLUGIN\((\w+),", code)[1]
        command = [*shlex.split(os.environ.get("CXX", "g++")), "-std=c++20", "-fsyntax-only", "-Wall",
                   "-Wextra", "-Werror", "-Wno-missing-field-initializers", *numbers,
                   f'-DQHOST_PLUGIN_NAME="{name}"', '-DQHOST_PLUGIN_VERSION="1"',
                   '-DQHOST_PLUGIN_PROVIDES="x"', '-DQHOST_PLUGIN_BUILD_TYPE="Release"',
                   '-DQHOST_PLUGIN_SDK="1"', f"-I{ROOT}/sdk/include", f"-isystem{TORCH}/include",
                   f"-isystem{TORCH}/include/torch/csrc/api/include", "-x", "c++", "-"]
        done = subprocess.run(command, input=code, capture_output=True, text=True)
        if done.returncode != 0:
            yield f"{file.relative_to(ROOT)}: C++ block {number} does not compile:\n{done.stderr}"


def invalid_experiments(program):
    with tempfile.TemporaryDirectory() as scratch:
        experiments = sorted((ROOT / "experiments").glob("*.toml"))
        for number, text in enumerate(blocks(ROOT / "README.md", "toml"), 1):
            experiments.append(pathlib.Path(scratch) / f"readme_{number}.toml")
            experiments[-1].write_text(text)
        for experiment in experiments:
            done = subprocess.run([program, "run", "--dry-run", experiment], capture_output=True, text=True)
            # Without the data set, everything else is checked.
            if done.returncode != 0 and ", but the data is not there\n" not in done.stderr:
                yield f"{experiment.name} is refused:\n{done.stderr}"


def main(arguments):
    faults = [fault for file in markdown_files() for fault in dead_links(file)]
    faults += compile_errors(ROOT / "docs/plugins.md")
    if arguments:
        faults += invalid_experiments(arguments[0])
    print("\n".join(faults) or "links, examples and experiments hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
