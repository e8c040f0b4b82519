#!/usr/bin/env python3
"""Two builds of qhost side by side: the rows of tools/bench, in alternating slices.

    compare_builds.py COMMIT [--build FOLDER] [--rounds N] [--processes N] [--slice SECONDS]
                      [--filter REGEX] [--threads N] [--clock wall|cpu] [--jobs N] [--json] [--build-only]

Checks COMMIT out beside this tree (a worktree in build/compare/), builds it with the LibTorch, the
compiler and the build type of FOLDER (default build/release), and then times both builds. One process
of each build works while the other waits on its pipe. A round is one slice of each, in alternating
order (A B, B A, ...). Its ratio is the seconds of this tree over the seconds of COMMIT: 1.02 says that
this tree takes 2 % longer. A row is printed with the median ratio of all rounds, its 10th and 90th
percentile, and the median times of both builds.

Where a process finds its memory can move a row by several percent for the process's whole life: the
rounds of a row are shared among --processes pairs of processes, 5 by default.

A slice is as many calls as take --slice seconds in COMMIT's build, the same number in both. The row
`start` is the whole process of `qhost run` for one step. Rows that only one build has are listed. The
rows that qhost_bench computes from its own times (`calls`, `augment/time`) are left out: their
work is in `nothing` and `augment`.

Both sides are timed by the same code: tools/bench/rounds.h and rounds.cpp of this tree replace
those of COMMIT. They include nothing of qhost.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMING = ("tools/bench/rounds.h", "tools/bench/rounds.cpp")
TARGETS = ("qhost", "qhost_bench", "resnet", "bwn", "xnornet", "lsq")
KEPT = ("CMAKE_BUILD_TYPE", "CMAKE_CXX_COMPILER", "CMAKE_CXX_FLAGS", "CMAKE_CXX_FLAGS_RELEASE")
START = """[data]
name = "digits"
[model]
name = "resnet"
family = "cifar"
depth = 8
[train]
epochs = 1
batch_size = 32
max_steps = 1
"""


def run(command, **options):
    """Ends with the output of the command if it fails."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def read_cache(build):
    """CMakeCache.txt as a dictionary."""
    file = build / "CMakeCache.txt"
    if not file.is_file():
        sys.exit(f"{build} holds no build of this tree\n"
                 "help: cmake --preset release && ninja -C build/release")
    entries = re.findall(r"^([A-Za-z_0-9]+):[A-Z]+=(.*)$", file.read_text(), re.MULTILINE)
    return dict(entries)


def check_out(commit):
    """The worktree of `commit`, with this tree's timing code. The build of an earlier call is kept."""
    full = run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"]).strip()
    tree = ROOT / "build" / "compare" / full[:12]
    if not (tree / ".git").exists():
        shutil.rmtree(tree, ignore_errors=True)
        run(["git", "-C", ROOT, "worktree", "prune"])
        run(["git", "-C", ROOT, "worktree", "add", "--detach", "--force", tree, full])
    for name in TIMING:
        if not (tree / name).is_file():
            sys.exit(f"{commit} has no {name}: its tools/bench is timed otherwise\n"
                     "help: name a later commit")
        if (tree / name).read_bytes() != (ROOT / name).read_bytes():
            shutil.copyfile(ROOT / name, tree / name)
    return full, tree


def build_other(tree, cache, jobs):
    build = tree / "build"
    torch = cache.get("QHOST_TORCH_DIR") or ROOT / ".deps" / "torch" / "torch"
    settings = [f"-D{key}={cache[key]}" for key in KEPT if cache.get(key)]
    run(["cmake", "-S", tree, "-B", build, "-G", "Ninja", *settings, f"-DQHOST_TORCH_DIR={torch}",
         "-DQHOST_TESTS=OFF", "-DQHOST_WERROR=OFF"])
    # The build takes long, so it prints its own progress.
    if subprocess.run(["ninja", "-C", build, f"-j{jobs}", *TARGETS], stdout=sys.stderr).returncode:
        sys.exit(f"the build in {build} failed")
    return build


class Bench:
    """A qhost_bench that computes the slices that it is asked for (tools/bench/rounds.h)."""

    def __init__(self, build, filter, arguments):
        command = [build / "bin" / "qhost_bench", "--rounds", "1", "--threads", arguments.threads,
                   "--clock", arguments.clock, "--filter", filter]
        environment = {**os.environ, "QHOST_BENCH_SLICES": "1"}
        try:
            self.process = subprocess.Popen([str(word) for word in command], text=True,
                                            env=environment, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE)
        except OSError as error:
            sys.exit(f"{command[0]} cannot be started: {error.strerror}")

    def line(self):
        """Its next line; "" at the end."""
        line = self.process.stdout.readline()
        if not line and self.process.wait() != 0:
            sys.exit(f"{self.process.args[0]} ended with exit status {self.process.returncode}")
        return line

    def next_row(self):
        """The name of its present row; None after the last one."""
        while line := self.line():
            if line.startswith("slices "):
                return line.split()[1]
        return None

    def seconds(self, calls):
        """The seconds of that many calls of the row's subject; 0: continue with the next row."""
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return float(self.line()) if calls > 0 else 0.0

    def end(self):
        self.process.kill()
        self.process.wait()


def row_names(build, arguments):
    bench = Bench(build, arguments.filter, arguments)
    names = []
    while name := bench.next_row():
        names.append(name)
        bench.seconds(0)
    return names


def row_of(build, name, arguments):
    """A qhost_bench that waits at this row."""
    bench = Bench(build, f"^{re.escape(name)}$", arguments)
    if bench.next_row() != name:
        sys.exit(f"{bench.process.args[0]} has no row {name}")
    return bench


def benches(build, other, name, arguments):
    here, there = row_of(build, name, arguments), row_of(other, name, arguments)

    def end():
        here.end()
        there.end()
    return here, there, end


class Start:
    """The process of a run of one step, of one build."""

    def __init__(self, build, folder):
        self.folder = folder
        self.folder.mkdir()
        (self.folder / "start.toml").write_text(START)
        self.command = [str(build / "bin" / "qhost"), "run", "start.toml"]

    def seconds(self, calls):
        begin = time.monotonic()
        for _ in range(calls):
            run(self.command, cwd=self.folder)
        return time.monotonic() - begin


def time_in_turns(here, there, rounds, arguments):
    """Times of one call of each side, a pair a round; both sides provide seconds(calls)."""
    for side in (here, there):
        side.seconds(1)
    calls = max(1, round(arguments.slice / max(there.seconds(1), 1e-9)))
    times = {here: [], there: []}
    for number in range(rounds):
        for side in (here, there) if number % 2 == 0 else (there, here):
            times[side].append(side.seconds(calls) / calls)
    return list(zip(times[here], times[there])), calls


def compare(name, make_pair, arguments):
    """make_pair() gives new processes of both sides, and what ends them."""
    processes = min(arguments.processes, arguments.rounds)
    pairs, calls = [], 0
    for number in range(processes):
        rounds = arguments.rounds // processes + (number < arguments.rounds % processes)
        here, there, end = make_pair()
        times, calls = time_in_turns(here, there, rounds, arguments)
        pairs += times
        end()
    ratios = [a / b for a, b in pairs]
    deciles = statistics.quantiles(ratios, n=10) if len(ratios) > 1 else ratios * 9
    return {"name": name, "ratio": statistics.median(ratios), "p10": deciles[0], "p90": deciles[8],
            "rounds": len(ratios), "processes": processes, "calls": calls,
            "here_ms": 1e3 * statistics.median(a for a, _ in pairs),
            "there_ms": 1e3 * statistics.median(b for _, b in pairs)}


def measure(build, other, arguments, report):
    """Returns the names of the rows that only one build has."""
    ours, theirs = row_names(build, arguments), row_names(other, arguments)
    for name in (name for name in ours if name in theirs):
        report(compare(name, lambda: benches(build, other, name, arguments), arguments))
    if re.search(arguments.filter, "start"):
        with tempfile.TemporaryDirectory(prefix="qhost-compare-") as folder:
            starts = (Start(build, pathlib.Path(folder) / "here"),
                      Start(other, pathlib.Path(folder) / "there"))
            report(compare("start", lambda: (*starts, lambda: None), arguments))
    return sorted(set(ours) ^ set(theirs))


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def print_row(row):
    print(f"{row['name']:<28} {row['ratio']:8.4f} {row['p10']:8.4f} {row['p90']:8.4f} "
          f"{row['rounds']:5d}  {row['here_ms']:.3f} against {row['there_ms']:.3f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Two builds of qhost, timed in turns.")
    parser.add_argument("commit", help="the other build, as git names it")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release",
                        help="this tree's build")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--processes", type=int, default=5, help="pairs of processes a row")
    parser.add_argument("--slice", type=float, default=0.25, help="seconds of one slice, about")
    parser.add_argument("--filter", default=".*", help="of the rows' names, as qhost_bench takes it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="cpu: each process's own time, for a busy machine, with --threads 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of the build")
    parser.add_argument("--build-only", action="store_true", help="stop before the first row")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.processes) < 1 or arguments.slice <= 0:
        parser.error("--rounds, --processes and --slice must be above 0")

    cache = read_cache(arguments.build)
    full, tree = check_out(arguments.commit)
    other = build_other(tree, cache, arguments.jobs)
    if arguments.build_only:
        print(other)
        return
    cpu = cpu_name()
    if not arguments.json:
        print(f"this tree against {full[:12]}; {cpu}, {arguments.threads} threads, "
              f"{arguments.clock} clock\n{'':<28} {'median':>8} {'p10':>8} {'p90':>8} {'n':>5}")
    rows = []

    def report(row):
        rows.append(row)
        if not arguments.json:
            print_row(row)

    alone = measure(arguments.build, other, arguments, report)
    if arguments.json:
        print(json.dumps({"commit": full, "cpu": cpu, "threads": arguments.threads,
                          "clock": arguments.clock, "rows": rows, "only_one_has": alone}, indent=2))
    elif alone:
        print("only one build has: " + ", ".join(alone))
    if not rows:
        sys.exit("--filter matches no row that both builds have")


if __name__ == "__main__":
    main()
