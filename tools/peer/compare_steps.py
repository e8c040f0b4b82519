#!/usr/bin/env python3
"""qhost's training step of ResNet-20 against PyTorch's best eager step of the same network.

    compare_steps.py --python PYTHON [--bench FILE] [--precision fp32|bf16] [--rounds N]
                     [--steps N] [--threads N] [--clock wall|cpu] [--json]

Starts `qhost_bench serve` and step_pytorch.py (with PYTHON, which has PyTorch) and lets them work in
turns: one computes a slice of steps while the other waits on its pipe. Other processes on the machine
therefore affect both sides alike. A round is one slice of each, in alternating order; its ratio is one sample. Prints the
median ratio qhost / PyTorch with the 10th and 90th percentile. qhost's side includes the batch's
augmentation, PyTorch's does not.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Side:
    """A process that computes a slice of steps, of which it reads the number."""

    def __init__(self, command):
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True)
        except OSError as error:
            sys.exit(f"{command[0]} cannot be started: {error.strerror}\n"
                     "help: build the target qhost_bench; --python names a Python with PyTorch")
        self.name = command[0]

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with exit status {self.process.wait()}")
        return float(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description="qhost's training step against PyTorch's.")
    parser.add_argument("--python", required=True, help="an interpreter with PyTorch")
    parser.add_argument("--bench", default=ROOT / "build/release/bin/qhost_bench")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--steps", type=int, default=4, help="of one slice")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: each process's own time, for a busy machine, with --threads 1")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    common = ["--precision", arguments.precision, "--batch", str(arguments.batch), "--threads",
              str(arguments.threads), "--clock", arguments.clock]
    peer = pathlib.Path(__file__).with_name("step_pytorch.py")
    ours = Side([str(arguments.bench), "serve", *common])
    theirs = Side([arguments.python, str(peer), "--serve", *common])
    for side in (ours, theirs):
        side.seconds(arguments.steps)
    times = {ours: [], theirs: []}
    for number in range(arguments.rounds):
        for side in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            times[side].append(side.seconds(arguments.steps) / arguments.steps)
    for side in (ours, theirs):
        side.close()
    ratios = [a / b for a, b in zip(times[ours], times[theirs])]
    deciles = statistics.quantiles(ratios, n=10) if len(ratios) > 1 else ratios * 9
    row = {"name": f"step/{arguments.precision}/pytorch", "baseline": "PyTorch's best eager step",
           "ratio": statistics.median(ratios), "p10": deciles[0], "p90": deciles[8],
           "rounds": len(ratios), "qhost_ms": 1e3 * statistics.median(times[ours]),
           "pytorch_ms": 1e3 * statistics.median(times[theirs])}
    if arguments.json:
        print(json.dumps({"rows": [row]}, indent=2))
    else:
        print(f"{row['name']}: {row['ratio']:.4f} ({row['p10']:.4f} {row['p90']:.4f}) of "
              f"{row['baseline']}, {row['rounds']} rounds; {row['qhost_ms']:.1f} against "
              f"{row['pytorch_ms']:.1f} ms a step")


if __name__ == "__main__":
    main()
