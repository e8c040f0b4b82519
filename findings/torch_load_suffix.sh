#!/usr/bin/env bash
# torch 2.15.0 (CPU), numpy 2.4.6, safetensors 0.8.0
#
# Expected: torch.load recognizes the format of a file by its content, as it does for its own two formats. A
# file that torch.save wrote is read by torch.load, whatever its name.
#
# Instead: a path that ends with ".safetensors" (in lower case) goes to the safetensors reader, all else
# to torch's own. torch.save accepts that name without a warning and writes its usual zip file, which torch.load
# then refuses: "header too large". torch 2.9.1 read it. The same file opened by the caller loads. A valid
# safetensors file under any other name, or opened by the caller, is refused as a pickle, and the message
# says that weights_only=False will likely succeed. map_location as a dictionary or a function, which torch.load
# takes otherwise, is refused for safetensors. The documentation of torch.load does not mention safetensors.
#
# Hurts: everyone whose script takes the file name from the user and calls torch.save; caches that store
# downloads under a hash; and everyone who follows the advice and turns the safe reading off.
#
# Seen:
#     safetensors file, model.safetensors : loads
#     safetensors file, model.SAFETENSORS : UnpicklingError: Unsupported operand 64; advises weights_only=False
#     safetensors file, model.bin         : UnpicklingError: Unsupported operand 64; advises weights_only=False
#     safetensors file, opened            : UnpicklingError: Unsupported operand 64; advises weights_only=False
#     torch.save's file, model.safetensors: SafetensorError: Error while deserializing header: header too large
#     torch.save's file, model.bin        : loads
#     torch.save's file, opened           : loads
#     map_location={"cpu": "cpu"}, model.bin        : loads
#     map_location={"cpu": "cpu"}, model.safetensors: RuntimeError: Loading safetensors file with dict map_location is not supported. Use a device string or torch.device instead.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
install() { "$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"; }
# The CPU build; without its index the default one, which needs 6 GB.
install --retries 0 --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 2>"$tmp/log" ||
    install torch==2.15.0
install numpy==2.4.6 safetensors==0.8.0
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import shutil

import safetensors.torch
import torch

weights = {"w": torch.arange(6.0).reshape(2, 3)}


def attempt(title, file, **options):
    try:
        got = torch.load(file, **options)
        assert list(got) == ["w"] and torch.equal(got["w"], weights["w"])
        said = "loads"
    except Exception as error:
        text = str(error)
        said = f"{type(error).__name__}: {text.split(chr(10) * 2)[1] if chr(10) * 2 in text else text}"
        said += "; advises weights_only=False" if "`False` will likely succeed" in text else ""
    print(f"{title}: {said}")
    return said


safetensors.torch.save_file(weights, "model.safetensors")
shutil.copy("model.safetensors", "model.SAFETENSORS")
shutil.copy("model.safetensors", "model.bin")
seen = [attempt(f"safetensors file, {name:18}", name)
        for name in ("model.safetensors", "model.SAFETENSORS", "model.bin")]
with open("model.safetensors", "rb") as file:
    seen.append(attempt(f"safetensors file, {'opened':18}", file))
torch.save(weights, "model.safetensors")
torch.save(weights, "model.bin")
seen += [attempt(f"torch.save's file, {name:17}", name) for name in ("model.safetensors", "model.bin")]
with open("model.safetensors", "rb") as file:
    seen.append(attempt(f"torch.save's file, {'opened':17}", file))
places = {"cpu": "cpu"}
seen.append(attempt(f"map_location={{\"cpu\": \"cpu\"}}, {'model.bin':17}", "model.bin", map_location=places))
safetensors.torch.save_file(weights, "model.safetensors")
seen.append(attempt("map_location={\"cpu\": \"cpu\"}, model.safetensors", "model.safetensors",
                    map_location=places))
loads = [said == "loads" for said in seen]
assert loads == [True, False, False, False, False, True, True, True, False], "not the behavior described"
assert all("advises" in said for said in seen[1:4]), "not the behavior described"
assert "header too large" in seen[4], "not the behavior described"
EOF
