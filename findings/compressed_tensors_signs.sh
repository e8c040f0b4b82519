#!/usr/bin/env bash
# compressed-tensors 0.20.1, torch 2.15.0 (CPU), numpy 2.4.6
#
# Expected: weights of +-1 (a binary network, or its scale times them) survive symmetric integer quantization
# with one scale a channel: QuantizationArgs takes 1 to 8 bits, the packed format says the same, and the scale comes
# from calculate_qparams of the channel's own minimum and maximum.
#
# Instead: the codes of b bits go from -2^(b-1) to 2^(b-1) - 1, and the scale is the largest magnitude over
# (2^b - 1) / 2, so that the extremes lie half a step beyond the positive end, where rounding is a tie. With 1 bit
# every weight rounds to 0: the layer is gone, without a warning. With 2 bits -1 becomes -4/3 and +1 becomes 2/3: the
# two signs get different sizes, though each channel is symmetric. From 3 bits on they are equal, but too small.
# Compressing and decompressing loses nothing more.
#
# Hurts: everyone who stores binary or ternary networks in this format, or compares few bits in it: a
# ternary network in 2 bits is no longer ternary in equal steps, and 1 bit, the format's smallest, is nothing.
#
# Seen:
#     +-1     in 1 bits: -1 -> 0, 1 -> 0; error 100.0 %
#     +-1     in 2 bits: -1 -> -1.333, 1 -> 0.667; error 33.3 %
#     +-1     in 3 bits: -1 -> -0.857, 1 -> 0.857; error 14.3 %
#     +-1     in 4 bits: -1 -> -0.933, 1 -> 0.933; error 6.7 %
#     +-1     in 8 bits: -1 -> -0.996, 1 -> 0.996; error 0.4 %
#     ternary in 1 bits: -1 -> 0, 0 -> 0, 1 -> 0; error 100.0 %
#     ternary in 2 bits: -1 -> -1.333, 0 -> 0, 1 -> 0.667; error 33.3 %
#     ternary in 3 bits: -1 -> -0.857, 0 -> 0, 1 -> 0.857; error 14.3 %
#     ternary in 4 bits: -1 -> -0.933, 0 -> 0, 1 -> 0.933; error 6.7 %
#     ternary in 8 bits: -1 -> -0.996, 0 -> 0, 1 -> 0.996; error 0.4 %
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
install() { "$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"; }
# The CPU build; without its index the default one, which needs 6 GB.
install --retries 0 --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 2>"$tmp/log" ||
    install torch==2.15.0
install numpy==2.4.6 compressed-tensors==0.20.1
cd "$tmp"
"$tmp/venv/bin/python" - 2>"$tmp/log" <<'EOF' || { cat "$tmp/log" >&2; exit 1; }
import torch
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import (
    QuantizationArgs, QuantizationConfig, QuantizationScheme, apply_quantization_config)
from compressed_tensors.quantization.utils import calculate_qparams

torch.manual_seed(0)
draws = {"+-1": torch.randint(0, 2, (16, 64)) * 2.0 - 1, "ternary": torch.randint(-1, 2, (16, 64)).float()}


def kept(weights, bits):
    """The weights after quantization, and after compression and decompression."""
    model = torch.nn.Sequential()
    model.add_module("layer", torch.nn.Linear(64, 16, bias=False))
    model.layer.weight.data.copy_(weights)
    args = QuantizationArgs(num_bits=bits, symmetric=True, strategy="channel")
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    apply_quantization_config(model, QuantizationConfig(config_groups={"all": scheme}))
    scale, _ = calculate_qparams(weights.amin(1, keepdim=True), weights.amax(1, keepdim=True), args)
    model.layer.weight_scale.data.copy_(scale)
    with torch.no_grad():
        now = model(torch.eye(64)).T.clone()
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    assert "layer.weight_packed" in model.state_dict()
    compressor.decompress_model(model)
    assert torch.equal(model.layer.weight.data, now)
    return now


for title, weights in draws.items():
    for bits in range(1, 9):
        if bits in (5, 6, 7):
            continue
        got = kept(weights, bits)
        values = {v: sorted({round(x, 3) + 0.0 for x in got[weights == v].tolist()}) for v in (-1.0, 0.0, 1.0)
                  if (weights == v).any()}
        error = (got - weights).norm() / weights.norm()
        print(f"{title:7} in {bits} bits: " + ", ".join(
            f"{v:g} -> {' '.join(f'{x:g}' for x in after)}" for v, after in values.items())
            + f"; error {100 * error:.1f} %")
        if bits == 1:
            assert not got.any(), "not the behavior described"
        if bits == 2:
            assert (got[weights == -1] < -1.3).all() and (got[weights == 1] < 0.7).all(), "not the behavior described"
EOF
