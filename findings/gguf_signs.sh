#!/usr/bin/env bash
# gguf 0.19.0, numpy 2.4.6
#
# Expected: 4 bits have 16 codes, 5 bits 32: weights that are only -a, 0 and a (binary or ternary networks, and
# pruned ones) fit exactly, up to the rounding of a to float16.
#
# Instead: of the types that gguf's quantize offers, Q4_0 and Q5_0 give the extreme of each block of 32 the
# code -8 (-16) and have no +8 (+16): the other sign shrinks to 7/8 (15/16). Which one it is depends on the
# first extreme value of the block, so that equal weights of one filter are no longer equal. Q4_1 and Q5_1 hold
# both signs, but no 0: it becomes -a/15 (a/31), wherever a weight was pruned. Exact are Q8_0, TQ1_0 and TQ2_0
# (rows of a multiple of 256 values), and MXFP4 where a is 1 (0.3 becomes 0.25, for its scales are powers of two).
#
# Hurts: everyone who puts binary or ternary weights into a 4-bit type because more readers know those: a dot
# product of signs is off by whole steps, and pruned weights are back.
#
# Seen:
#     Q4_0   | +-1: -1 -0.875 0.875 1 (sums off by 3.3, at most 17.8) | ternary: -1 -0.875 0 0.875 1 (sums off by 2.7, at most 13.8)
#     Q4_1   | +-1: -1 1 (sums off by 0.0, at most 0.1) | ternary: -1 -0.067 1 (sums off by 1.5, at most 7.2)
#     Q5_0   | +-1: -1 -0.938 0.938 1 (sums off by 1.6, at most 8.9) | ternary: -1 -0.938 0 0.938 1 (sums off by 1.4, at most 6.9)
#     Q5_1   | +-1: -1 1 (sums off by 0.0, at most 0.0) | ternary: -1 0.032 1 (sums off by 0.7, at most 3.4)
#     Q8_0   | +-1: -1 1 (sums off by 0.0, at most 0.0) | ternary: -1 0 1 (sums off by 0.0, at most 0.0)
#     MXFP4  | +-1: -1 1 (sums off by 0.0, at most 0.0) | ternary: -1 0 1 (sums off by 0.0, at most 0.0)
#     TQ1_0  | +-1: -1 1 (sums off by 0.0, at most 0.0) | ternary: -1 0 1 (sums off by 0.0, at most 0.0)
#     TQ2_0  | +-1: -1 1 (sums off by 0.0, at most 0.0) | ternary: -1 0 1 (sums off by 0.0, at most 0.0)
#     MXFP4  of -0.3, 0, 0.3: -0.25 0 0.25
#     TQ2_0  of -0.3, 0, 0.3: -0.3 0 0.3
#     Q4_0   of two blocks: 1.0 -0.875 1.0 -0.875 ... | -1.0 0.875 -1.0 0.875 ...
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" - <<'EOF'
import numpy as np
from gguf import GGMLQuantizationType, quants

rng = np.random.default_rng(0)
n = 2304  # a 3x3 filter over 256 channels
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4", "TQ1_0", "TQ2_0"]
signs = rng.choice(np.float32([-1, 1]), (64, n))
ternary = rng.choice(np.float32([-1, 0, 1]), (64, n))
x = rng.choice(np.float32([-1, 1]), (256, n))


def stored(w, name):
    kind = GGMLQuantizationType[name]
    return quants.dequantize(quants.quantize(w, kind), kind)


off = {}
for name in TYPES:
    line = f"{name:6}"
    for title, w in (("+-1", signs), ("ternary", ternary)):
        got = stored(w, name)
        values = sorted(set(np.round(got.astype(float).ravel(), 3) + 0.0))
        error = abs(x @ got.T - x @ w.T)
        off[name, title] = error.max()
        line += (f" | {title}: " + " ".join(f"{v:g}" for v in values)
                 + f" (sums off by {error.mean():.1f}, at most {error.max():.1f})")
    print(line)
for name in ("MXFP4", "TQ2_0"):
    values = sorted(set(np.round(stored(np.float32(0.3) * ternary, name).astype(float).ravel(), 3) + 0.0))
    print(f"{name:6} of -0.3, 0, 0.3:", " ".join(f"{v:g}" for v in values))
    assert (values == [-0.3, 0, 0.3]) == (name == "TQ2_0"), "not the behavior described"
far = {key for key, error in off.items() if error > 2}
assert far == {("Q4_0", "+-1"), ("Q4_0", "ternary"), ("Q5_0", "+-1"), ("Q5_0", "ternary"),
               ("Q4_1", "ternary"), ("Q5_1", "ternary")}, "not the behavior described"
block = np.float32([[1, -1, 1, -1] * 8, [-1, 1, -1, 1] * 8])
got = stored(block, "Q4_0")
print("Q4_0   of two blocks:", *got[0, :4], "... |", *got[1, :4], "...")
assert (abs(got) == [[1, 0.875] * 16] * 2).all(), "not the behavior described"
EOF
