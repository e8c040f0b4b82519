#!/usr/bin/env bash
# torch 2.15.0 (CPU), numpy 2.4.6
#
# Expected: torch.load refuses a checkpoint that holds a collections.defaultdict and says to allow that
# type with add_safe_globals or safe_globals. After that it loads, as it did with torch 2.9.1.
#
# Instead: the next message asks for the factory (int), and the one after that is a dead end: only dict,
# OrderedDict and Counter may be filled, whatever is allowed. The checkpoint then has no unsafe global left
# according to get_unsafe_globals_in_checkpoint. An empty defaultdict loads, so a test on a fresh object sees
# nothing. The same holds for every class derived from dict. What works: to store dict(d); for files that are
# written already, to allow a function that makes a plain dict under the name collections.defaultdict.
#
# Hurts: everyone who keeps counts or histories beside the weights, or the state of an optimizer as it is
# (optimizer.state is a defaultdict; optimizer.state_dict() holds none), and finds out when the run is to be
# resumed with a newer torch.
#
# Seen:
#     defaultdict, nothing allowed            : GLOBAL collections.defaultdict was not an allowed global by default
#     defaultdict, defaultdict allowed        : GLOBAL int was not an allowed global by default
#     defaultdict, defaultdict and int allowed: Can only SETITEM for dict, collections.OrderedDict, collections.Counter, but got <class 'collections.defaultdict'>
#       unsafe globals according to torch     : []
#     empty, defaultdict and int allowed      : loads as defaultdict
#     class derived from dict, it is allowed  : Can only SETITEM for dict, collections.OrderedDict, collections.Counter, but got <class '__main__.Derived'>
#     defaultdict, read as a plain dict       : loads as dict
#     Counter, nothing allowed                : loads as Counter
#     dict(defaultdict), nothing allowed      : loads as dict
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
install() { "$tmp/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"; }
# The CPU build; without its index the default one, which needs 6 GB.
install --retries 0 --index-url https://download.pytorch.org/whl/cpu torch==2.15.0 2>"$tmp/log" ||
    install torch==2.15.0
install numpy==2.4.6
cd "$tmp"
"$tmp/venv/bin/python" -W ignore - <<'EOF'
import collections
import re

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals


class Derived(dict):
    pass


def plain_dict(*_):
    return {}


def attempt(title, value, allowed=()):
    torch.save({"weight": torch.ones(2), "seen": value}, "c.pt")
    with safe_globals(list(allowed)):
        try:
            got = torch.load("c.pt", weights_only=True)["seen"]
            assert got == value
            said = f"loads as {type(got).__name__}"
        except Exception as error:
            said = re.search(r"GLOBAL \S+ was not .* by default|Can only SETITEM.*", str(error))[0]
        print(f"{title:40}: {said}")
        return said, get_unsafe_globals_in_checkpoint("c.pt")


counts = collections.defaultdict(int, dog=3)
both = [collections.defaultdict, int]
first, _ = attempt("defaultdict, nothing allowed", counts)
second, _ = attempt("defaultdict, defaultdict allowed", counts, both[:1])
third, left = attempt("defaultdict, defaultdict and int allowed", counts, both)
print(f"{'  unsafe globals according to torch':40}: {left}")
empty, _ = attempt("empty, defaultdict and int allowed", collections.defaultdict(int), both)
derived, _ = attempt("class derived from dict, it is allowed", Derived(dog=3), [Derived])
renamed, _ = attempt("defaultdict, read as a plain dict", counts,
                     [(plain_dict, "collections.defaultdict"), int])
counter, _ = attempt("Counter, nothing allowed", collections.Counter(dog=3))
plain, _ = attempt("dict(defaultdict), nothing allowed", dict(counts))
assert "collections.defaultdict was not" in first and "int was not" in second, "not the behavior described"
assert third.startswith("Can only") and left == [], "not the behavior described"
assert derived.startswith("Can only"), "not the behavior described"
assert empty == "loads as defaultdict" and counter == "loads as Counter", "not the behavior described"
assert renamed == plain == "loads as dict", "not the behavior described"
EOF
