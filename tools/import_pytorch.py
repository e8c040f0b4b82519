#!/usr/bin/env python3
"""Turns a PyTorch state_dict (.pth, .pt) into a .safetensors file that `train.init_from` reads.

    tools/import_pytorch.py resnet20.pth resnet20.safetensors
    qhost run FILE train.init_from=resnet20.safetensors

The file may contain the state_dict itself or a dictionary with one under "state_dict", "model" or "net".
Names are not changed: `qhost describe ARCHITECTURE` lists the naming schemes that qhost reads. Tensors become
float32. Impossible values (NaN, infinity, integers, values beyond float32, a negative running_var) are
refused, and nothing is written. Needs PyTorch; the file is read with weights_only, so that
it cannot run code. The written tensors are listed; qhost checks every name and shape when it reads the file.
"""

import argparse
import json
import pathlib
import struct
import sys


class NoStateDict(Exception):
    """The file contains no dictionary of tensors."""


def find_state_dict(content, is_tensor):
    """Finds the dictionary of tensors in the result of torch.load()."""
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


def wrong_values(name, tensor):
    """The impossible values in this tensor, one phrase each."""
    if name.split(".")[-1] == "num_batches_tracked":
        return []  # PyTorch's counter, which qhost leaves out
    elements = tensor.numel()
    if not tensor.is_floating_point():
        return [f"{elements} values of type {str(tensor.dtype).removeprefix('torch.')}"]
    infinite = int(tensor.isinf().sum())
    counts = [(int(tensor.isnan().sum()), "nan"), (infinite, "infinite"),
              (int(tensor.float().isinf().sum()) - infinite, "beyond float32")]
    if name.split(".")[-1] == "running_var":
        counts.append((int((tensor < 0).sum()), "negative"))
    return [f"{count} of {elements} values {'is' if count == 1 else 'are'} {what}"
            for count, what in counts if count]


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
    except Exception as error:  # torch.load() throws exceptions of many types
        sys.exit(f"import_pytorch: {arguments.source} cannot be read: "
                 f"{type(error).__name__}: {str(error).splitlines()[0]}\n"
                 "help: name a file that torch.save() wrote; a whole pickled model is not read, since "
                 "it can run code: save its state_dict()")
    wrong = [f"\n  {name}: {phrase}" for name, tensor in sorted(state.items())
             for phrase in wrong_values(name, tensor)]
    if wrong:
        sys.exit(f"import_pytorch: {arguments.source}: the weights cannot be right:{''.join(wrong)}\n"
                 "help: take a checkpoint from before the training diverged; of a quantized network the "
                 "floats that its integers stand for")
    arrays = {name: (tensor.shape, tensor.detach().float().contiguous().numpy().tobytes())
              for name, tensor in state.items()}
    arguments.target.write_bytes(safetensors(arrays))
    for name in sorted(arrays):
        print(f"{name} {list(arrays[name][0])}")


if __name__ == "__main__":
    main()
