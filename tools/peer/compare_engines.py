#!/usr/bin/env python3
"""qhost's packed engine against PyTorch, OpenVINO and onnxruntime, in one process.

    compare_engines.py --data FOLDER [--packed FOLDER] [--qhost FILE] [--library FILE]
                       [--rows REGEX] [--rounds N] [--slice SECONDS] [--clock wall|cpu]
                       [--peer-isa NAME] [--json]

    python3 -m venv DIR && DIR/bin/pip install -r tools/peer/engines/requirements.txt
    DIR/bin/python tools/peer/compare_engines.py --data data

The sides of a group work in turns: a round gives each one slice of about --slice seconds, the
first side rotating. A row is the median over the rounds of the peer's time over qhost's, with the
10th and 90th percentile: 4 says that qhost takes a quarter of the time. Where a peer has two
forms (layouts, the precision of what is left in floats), the one with the smaller median counts.
Rounds in which a slice had less than a core are dropped. Each side is compared with an
independent computation before it is timed; what differs, or does not run in int8, is printed
below the table.

Every pool has one thread; the group `threads` runs before a peer is imported. All networks take
3x32x32 images and are not trained. Packed ones are made by `qhost run` with train.epochs=0 and
`qhost export`, which need CIFAR-10 in --data; --packed keeps them for the next call. The peers'
networks are ResNet-18 and ResNet-20 in float32, and in int8 as onnxruntime's quantize_static
makes them.

Group `conv/C`: a 3x3 convolution of C channels, 8 images. What qhost's C interface runs is a
program, of features in the end. Three of its four times are therefore the difference of a program
that has the layer three times and one that has it once, halved:

    bits     packed in, packed out: kernel and thresholds
    packs    float in, packed out: the sign of a float value in memory, then the same
    floats   float in, float out, with a scale and a bias for each channel
    call     the whole program with the layer once: NCHW floats in and out

and of OpenVINO, its int8 graphs from u8 x s8 codes:

    kernel   one convolution in its own profile, codes in and out: wall time whatever the --clock
    chain    the same as the difference of a graph of three and one of one, halved, as `bits` is
    layer    FakeQuantize and BinaryConvolution in the profile, without the conversions around them
    call     the whole graph: NCHW floats in and out, NHWC for int8

--peer-isa sets ONEDNN_MAX_CPU_ISA, which PyTorch and OpenVINO obey and onnxruntime does not:
AVX512_CORE_BF16 keeps them from using AMX. Any limit below AMX also takes the population count of
vectors from OpenVINO's BinaryConvolution, which then takes more than twice as long: its rows are
left out.
"""
import argparse
import json
import os
import pathlib
import re
import sys
import tempfile

import numpy

from engines import layers, machine, packed_file, qhost, turns

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPES = ((64, 32), (128, 16), (256, 8), (512, 4))
TORCH = ["torch channels_last", "torch contiguous"]
INT8 = ["openvino int8, rest f32", "openvino int8, rest bf16"]
BINARY = "openvino binary "

# Rows: name, qhost's side, the peer's sides, the ratio to reach.
def convolution_rows(channels):
    return [("packs/torch", "qhost packs", TORCH, "17"),
            ("floats/torch", "qhost floats", TORCH, ""),
            ("call/torch", "qhost call", TORCH, ""),
            ("packs/openvino int8 kernel", "qhost packs", ["openvino int8 kernel"], "4"),
            ("bits/openvino int8 kernel", "qhost bits", ["openvino int8 kernel"], ""),
            ("bits/openvino int8 chain", "qhost bits", ["openvino int8 chain"], ""),
            ("floats/openvino int8 call", "qhost floats", ["openvino int8 call"], ""),
            ("bits/openvino binary kernel", "qhost bits", [BINARY + "kernel"],
             "1.6" if channels == 64 else "1"),
            ("bits/openvino binary chain", "qhost bits", [BINARY + "chain"], ""),
            ("floats/openvino binary layer", "qhost floats", [BINARY + "layer"], "2"),
            ("call/openvino binary call", "qhost call", [BINARY + "call"], "2"),
            ("call/openvino binary call to NHWC", "qhost call", [BINARY + "call to NHWC"], "")]


def network_rows(method, torch="", int8=""):
    side = f"qhost {method}"
    return [(f"{method}/torch", side, TORCH, torch),
            (f"{method}/openvino fp32", side, ["openvino fp32"], ""),
            (f"{method}/openvino int8", side, INT8, int8),
            (f"{method}/onnxruntime int8", side, ["onnxruntime int8"], "")]


def resnet18_rows(batch):
    # The second number: on a CPU whose vector units have 512 bits.
    xnor = ("14, 18", "3.3") if batch > 1 else ("25, 38", "4")
    return (network_rows("xnor", *xnor) + network_rows("ptq") +
            network_rows("bwn", "" if batch > 1 else "1.8"))


def groups(wanted, peer_isa):
    """(name, rows) of the groups that have a row that is wanted. `threads` is the first."""
    every = [("threads", [(f"b{batch}", f"2 threads, b{batch}", [f"1 thread, b{batch}"], "1.8")
                          for batch in (8, 1)])]
    every += [(f"conv/{channels}", convolution_rows(channels)) for channels, _ in SHAPES]
    every += [(f"resnet18/b{batch}", resnet18_rows(batch)) for batch in (8, 1)]
    every += [(f"resnet20/b{batch}", network_rows("xnor", int8="3" if batch > 1 else "4"))
              for batch in (8, 1)]
    def counts(name, row):
        limited = peer_isa and row[2][0].startswith(BINARY)
        return re.search(wanted, f"{name}/{row[0]}") and not limited
    chosen = [(name, [row for row in rows if counts(name, row)]) for name, rows in every]
    return [(name, rows) for name, rows in chosen if rows]


class Comparison:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.library = qhost.Library(arguments.library)
        self.rows, self.sides, self.kernels, self.notes = [], [], {}, []

    def engine_kernels(self):
        """avx512, avx2 or portable."""
        path = self.folder / "any.safetensors"
        packed_file.write(layers.whole(layers.Layer(8, 4, 0)), path)
        return qhost.Runner(self.library, path).kernels

    def packed(self, name):
        folder = self.arguments.packed or self.folder
        return qhost.packed_network(self.arguments.qhost, name, self.arguments.data, folder)

    def threads_group(self):
        path, sides = self.packed("resnet18_xnor"), []
        for batch in (8, 1):
            images = numpy.random.default_rng(batch).standard_normal((batch, 3, 32, 32))
            for threads in (1, 2):
                runner = qhost.Runner(self.library, path, threads)
                name = f"{threads} thread{'s' * (threads > 1)}, b{batch}"
                sides.append(turns.Calls(name, runner.bind(images)[0]))
        return sides

    def peer_group(self, name):
        # Only now: an imported peer may have threads of its own.
        import torch

        from engines import sides as timed
        torch.set_num_threads(1)
        kind, which = name.split("/")
        checks = timed.Checks()
        if kind == "conv":
            channels = int(which)
            sides, kernels = timed.convolution(self.library, channels, dict(SHAPES)[channels], 8,
                                               self.folder, checks)
        else:
            images = timed.images_of(int(which[1:]), (3, 32, 32))
            methods = ("xnor", "ptq", "bwn") if kind == "resnet18" else ("xnor",)
            files = {f"qhost {method}": self.packed(f"{kind}_{method}") for method in methods}
            sides = timed.packed_sides(self.library, files, images, checks)
            peers, kernels = timed.peers_of(kind, images, self.folder, checks)
            sides += peers
        self.kernels[name] = kernels
        self.notes += [f"{name}: {note}" for note in checks.failed]
        return sides

    def measure(self, name, rows, report):
        threads = name == "threads"
        clock = "wall" if threads else self.arguments.clock
        sides = self.threads_group() if threads else self.peer_group(name)
        turns.Clock.choose(clock)
        times = turns.take_turns(sides, self.arguments.rounds, self.arguments.slice,
                                 whole_core=not threads and clock == "wall")
        self.notes += [f"{name}: {note}" for note in times.notes]
        if times.busy:
            self.notes.append(f"{name}: the machine was busy, so rounds without a whole core count")
        for side in times.seconds:
            median, p10, p90 = turns.spread(times.seconds[side])
            self.sides.append({"group": name, "side": side, "us": 1e6 * median, "p10_us": 1e6 * p10,
                               "p90_us": 1e6 * p90})
        for label, ours, peers, goal in rows:
            peer = times.best([peer for peer in peers if peer in times.seconds])
            ratio, p10, p90 = times.ratio(peer, ours)
            row = {"name": f"{name}/{label}", "peer": peer, "ratio": ratio, "p10": p10, "p90": p90,
                   "goal": goal, "rounds": len(times.seconds[ours]), "dropped": times.dropped,
                   "qhost_us": 1e6 * times.median(ours), "peer_us": 1e6 * times.median(peer)}
            self.rows.append(row)
            report(row)


def print_row(row):
    print(f"{row['name']:<46} {row['ratio']:7.2f} {row['p10']:7.2f} {row['p90']:7.2f} "
          f"{row['goal']:>7} {row['rounds']:4d}  {row['qhost_us']:.0f} against "
          f"{row['peer_us']:.0f} us, {row['peer']}", flush=True)


def print_head(head):
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    limit = f"; ONEDNN_MAX_CPU_ISA {head['peer_isa']}" if head["peer_isa"] else ""
    print(f"{head['cpu']}, {head['cores']} cores: {' '.join(head['features'])}\n"
          f"qhost {head['qhost']} ({head['kernels']}), {versions}{limit}; {head['clock']} clock\n"
          f"{'':<46} {'median':>7} {'p10':>7} {'p90':>7} {'goal':>7} {'n':>4}", flush=True)


def parse():
    parser = argparse.ArgumentParser(description="qhost's packed engine against other engines.")
    build = ROOT / "build" / "release"
    library = build / "lib" / "libqhost_runtime.so"
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "data",
                        help="data.root, with CIFAR-10, to make the packed networks")
    parser.add_argument("--packed", type=pathlib.Path, help="where packed networks are kept")
    parser.add_argument("--qhost", type=pathlib.Path, default=build / "bin" / "qhost")
    parser.add_argument("--library", type=pathlib.Path, default=library)
    parser.add_argument("--rows", default=".*", help="a regular expression; names are GROUP/ROW")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--slice", type=float, default=0.05, help="seconds of one slice, about")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: this process's own time, for a busy machine; profiles and the "
                             "group threads keep the wall clock")
    parser.add_argument("--peer-isa", help="ONEDNN_MAX_CPU_ISA, as AVX512_CORE_BF16")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.slice <= 0:
        parser.error("--rounds and --slice must be above 0")
    if arguments.packed:
        arguments.packed.mkdir(parents=True, exist_ok=True)
    arguments.qhost = arguments.qhost.resolve()
    return arguments


def main():
    arguments = parse()
    chosen = groups(arguments.rows, arguments.peer_isa)
    if not chosen:
        sys.exit("--rows matches no row")
    if arguments.peer_isa:
        os.environ["ONEDNN_MAX_CPU_ISA"] = arguments.peer_isa
    with tempfile.TemporaryDirectory(prefix="qhost-engines-") as folder:
        comparison = Comparison(arguments, pathlib.Path(folder))
        head = {**machine.cpu(), "qhost": comparison.library.version(),
                "kernels": comparison.engine_kernels(), "versions": machine.versions(),
                "peer_isa": arguments.peer_isa, "clock": arguments.clock}
        if not arguments.json:
            print_head(head)
        for name, rows in chosen:
            comparison.measure(name, rows, (lambda row: None) if arguments.json else print_row)
    if arguments.json:
        print(json.dumps({**head, "rows": comparison.rows, "sides": comparison.sides,
                          "peer_kernels": comparison.kernels, "notes": comparison.notes}, indent=2))
        return
    for name, kernels in comparison.kernels.items():
        each = (f"{peer} {', '.join(names)}" for peer, names in kernels.items())
        print(f"{name}: " + "; ".join(each))
    for note in comparison.notes:
        print(f"warning: {note}")


if __name__ == "__main__":
    main()
