#!/usr/bin/env python3
"""Turns a PyTorch state_dict (.pth, .pt) into a .safetensors file that `train.init_from` reads.

    tools/import_pytorch.py resnet20.pth resnet20.safetensors
    qhost run FILE train.init_from=resnet20.safetensors

The file may hold the state_dict itself or a dictionary with one under "state_dict", "model" or "net".
Its names stay: `qhost describe ARCHITECTURE` says whose names qhost reads beside its own. Tensors become
float32. Needs PyTorch; the file is read with weights_only, so that it cannot run code. What is written is
listed; qhost checks every name and shape when it reads the file.
"""

import argparse
import json
import pathlib
import struct
import sys


class NoStateDict(Exception):
    """What was read is no dictionary of tensors."""


def find_state_dict(content, is_tensor):
    """The dictionary of tensors in what torch.load() gave."""
    if not isinstance(content, dict):
        raise NoStateDict(f"it holds a {type(content).__name__}, not a dictionary of tensors")
    for key in ("state_dict", "model", "net"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    others = [key for key, value in content.items() if not is_tensor(value)]
    if not content or others:
        what = f"{others[0]!r} is no tensor" if others else "it is empty"
        raise NoStateDict(f"{what}; its keys are {', '.join(map(repr, list(content)[:5]))}")
    return content


def safetensors(arrays):
    """The file's bytes; `arrays` maps a name to (shape, float32 bytes)."""
    header, data = {}, b""
    for name in sorted(arrays):
        shape, raw = arrays[name]
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("import_pytorch: this Python has no PyTorch\nhelp: pip install torch numpy, or call "
                 "this script with a Python that has both")
    try:
        content = torch.load(arguments.source, map_location="cpu", weights_only=True)
        state = find_state_dict(content, torch.is_tensor)
    except NoStateDict as error:
        sys.exit(f"import_pytorch: {arguments.source} is no state_dict: {error}\n"
                 "help: save one with torch.save(model.state_dict(), FILE)")
    except Exception as error:  # torch.load's own, of many kinds
        sys.exit(f"import_pytorch: {arguments.source} cannot be read: "
                 f"{type(error).__name__}: {str(error).splitlines()[0]}\n"
                 "help: name a file that torch.save() wrote; a whole pickled model is not read, since "
                 "it can run code: save its state_dict()")
    arrays = {name: (tensor.shape, tensor.detach().float().contiguous().numpy().tobytes())
              for name, tensor in state.items()}
    arguments.target.write_bytes(safetensors(arrays))
    for name in sorted(arrays):
        print(f"{name} {list(arrays[name][0])}")


if __name__ == "__main__":
    main()
