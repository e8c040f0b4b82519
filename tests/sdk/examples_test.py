#!/usr/bin/env python3
"""Compares the examples in the SDK's comments and in docs/plugins.md with tests/sdk/examples and
sdk/examples, which the build and the tests compile. An example must stand there line by line; the indentation does not matter."""
import pathlib
import re
import sys

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
    for text in missing:
        print(f"not in tests/sdk/examples: {text}\n")
    print(f"{found} examples, {len(missing)} of them are not compiled")
    # Fewer would say that this script no longer finds them.
    sys.exit(1 if missing or found < 8 else 0)


main()
