#!/usr/bin/env bash
# compressed-tensors 0.20.1, safetensors 0.8.0, torch 2.15.0 (CPU), numpy 2.4.6
#
# Expected: what the packed format's compressor wrote, its decompressor reads, for every number of outputs and inputs.
#
# Instead: a layer with 8 outputs or fewer, in 4 bits with zero points and at least two groups of inputs, is
# written without a word, and cannot be read: RuntimeError (self.stride(-1) must be 1 to view Int as Byte). With
# 9 outputs, with other bits, with one scale a channel or without zero points all is well. The zero points are packed
# along the outputs, eight in a word, so that these files have one word per group; only the reading of 4 bits
# stumbles over that. The file is whole: the codes and zero points can be unpacked by hand.
#
# Hurts: everyone who compresses a classifier of few classes (or a small depth or gate layer) with the usual 4-bit
# asymmetric groups: the error comes when the original weights may be gone.
#
# Seen:
#      2 outputs, 4 bits, groups of 32, zero points       : self.stride(-1) must be 1 to view Int as Byte (different element sizes), but got 2
#      8 outputs, 4 bits, groups of 32, zero points       : self.stride(-1) must be 1 to view Int as Byte (different element sizes), but got 2
#      9 outputs, 4 bits, groups of 32, zero points       : read back exactly
#     16 outputs, 4 bits, groups of 32, zero points       : read back exactly
#      8 outputs, 4 bits, groups of 64, zero points       : read back exactly
#      8 outputs, 4 bits, one group   , zero points       : read back exactly
#      8 outputs, 4 bits, groups of 32, no zero points    : read back exactly
#      8 outputs, 3 bits, groups of 32, zero points       : read back exactly
#      8 outputs, 8 bits, groups of 32, zero points       : read back exactly
#     zero points by hand from words of shape (1, 2) are right: True
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
install() { "$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"; }
# The CPU build; without its index the default one, which needs 6 GB.
install --retries 0 --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 2>"$tmp/log" ||
    install torch==2.15.0
install numpy==2.4.6 safetensors==0.8.0 compressed-tensors==0.20.1
cd "$tmp"
"$tmp/venv/bin/python" - 2>"$tmp/log" <<'EOF' || { cat "$tmp/log" >&2; exit 1; }
import torch
from compressed_tensors.compressors import PackedQuantizationCompressor as Packed
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import load_file, save_file

torch.manual_seed(0)
INPUTS = 64


def cycle(outputs, bits, group, symmetric):
    """Quantizes, compresses, saves, loads and decompresses; says what the reader said, and returns the file."""
    grouped = dict(strategy="group", group_size=group) if group else dict(strategy="channel")
    args = QuantizationArgs(num_bits=bits, symmetric=symmetric, **grouped)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    weights = torch.randn(outputs, INPUTS)
    parts = weights.reshape(outputs, -1, group or INPUTS)
    scale, zero = calculate_qparams(parts.amin(2), parts.amax(2), args)
    made = Packed.compress({"weight": weights, "weight_scale": scale, "weight_zero_point": zero}, scheme)
    save_file(made, "layer.safetensors")
    try:
        got = Packed.decompress(load_file("layer.safetensors"), scheme)["weight"]
    except RuntimeError as error:
        return str(error), zero
    assert torch.equal(got, fake_quantize(weights, scale, zero, args))
    return "read back exactly", zero


refused = []
for outputs, bits, group, symmetric in (
        (2, 4, 32, False), (8, 4, 32, False), (9, 4, 32, False), (16, 4, 32, False), (8, 4, 64, False),
        (8, 4, None, False), (8, 4, 32, True), (8, 3, 32, False), (8, 8, 32, False)):
    said, zero = cycle(outputs, bits, group, symmetric)
    title = (f"{outputs:2} outputs, {bits} bits, {f'groups of {group}' if group else 'one group':12}, "
             f"{'no zero points' if symmetric else 'zero points'}")
    print(f"{title:52}: {said}")
    if said != "read back exactly":
        refused.append((outputs, bits, group, symmetric))
assert refused == [(2, 4, 32, False), (8, 4, 32, False)], "not the behavior described"

_, zero = cycle(8, 4, 32, False)
words = load_file("layer.safetensors")["weight_zero_point"]
by_hand = torch.stack([(words[0] >> 4 * row & 15) - 8 for row in range(8)])
print("zero points by hand from words of shape", tuple(words.shape), "are right:", torch.equal(by_hand, zero.int()))
assert torch.equal(by_hand, zero.int()), "not the behavior described"
EOF
