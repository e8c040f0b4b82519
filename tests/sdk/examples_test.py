#!/usr/bin/env python3
"""Compares the examples in the SDK's comments and in docs/plugins.md with tests/sdk/examples and
sdk/examples, which the build and the tests compile. An example must stand there line by line; the
indentation does not matter. The C header's example is compiled by itself."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]


def blocks_of_header(path):
    """Consecutive lines `///     ...`, where they are code."""
    block = []
    for line in path.read_text().splitlines() + [""]:
        match = re.match(r"\s*///( {5,}\S.*)?$", line)
        if match:
            block.append((match.group(1) or "").strip())
            continue
        yield from code_in(block)
        block = []


def code_in(block):
    """The parts between empty lines that are no formula: no line of one ends with `;` or `{`."""
    part = []
    for line in block + [""]:
        if line:
            part.append(line)
            continue
        if any(text.endswith((";", "{")) for text in part):
            yield part
        part = []


def blocks_of_page(path):
    for text in re.findall(r"^```cpp\n(.*?)^```", path.read_text(), re.M | re.S):
        yield [line.strip() for line in text.splitlines() if line.strip()]


def wrong_c_example():
    """The example of qhost_runtime.h in a function of its own: what the C compiler says, or ""."""
    header = root / "sdk/include/qhost_runtime.h"
    comment = header.read_text().split("*/")[0]
    lines = re.findall(r"^ \*     (\S.*)$", comment, re.M)
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "example.c"
        source.write_text("#include <stdio.h>\n#include \"qhost_runtime.h\"\n"
                          "int example(const uint8_t* pixels, float* image, float* logits) {\n"
                          + "\n".join(lines) + "\nreturn 0;\n}\n")
        run = subprocess.run([os.environ.get("CC", "cc"), "-std=c99", "-Wall", "-Werror", "-c",
                              f"-I{header.parent}", source, "-o", source.with_suffix(".o")],
                             capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 and len(lines) > 3 else run.stderr or "no example was found"


def main():
    examples = {}
    compiled = list((root / "tests/sdk/examples").glob("*.cpp"))
    compiled += (root / "sdk/examples").glob("*/*.cpp")
    for path in sorted(compiled):
        examples[path] = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    sources = [(path, blocks_of_header(path))
               for path in sorted((root / "sdk/include/qhost").glob("*.h"))]
    sources.append((root / "docs/plugins.md", blocks_of_page(root / "docs/plugins.md")))
    found, missing = 0, []
    for path, blocks in sources:
        for block in blocks:
            found += 1
            if not any(lines[i:i + len(block)] == block
                       for lines in examples.values() for i in range(len(lines))):
                missing.append(f"{path.relative_to(root)}:\n    " + "\n    ".join(block))
    wrong = wrong_c_example()
    if wrong:
        missing.append(f"sdk/include/qhost_runtime.h: its example does not compile:\n{wrong}")
    for text in missing:
        print(f"not in tests/sdk/examples: {text}\n")
    print(f"{found} examples, {len(missing)} of them are not compiled")
    # Fewer would say that this script no longer finds them.
    sys.exit(1 if missing or found < 8 else 0)


main()
