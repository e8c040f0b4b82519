#!/usr/bin/env python3
"""Adds up test results: summarize_tests.py [--checks FILE] NAME=BUILD_FOLDER...

Reads the results of ctest (test-results/ctest.xml) and of the GoogleTest programs
(test-results/TEST.xml) in each build folder, and the lines `passed|failed|skipped NAME[: REASON]` of FILE. Prints
skipped and failed tests by name, then one line per group, and last `N passed, N failed, N skipped`.
Exits with 1 if anything failed or nothing passed.

A program that crashed wrote no file: ctest's entry then counts as one failed test, so that the sum
includes every crash.
"""

import argparse
import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

Case = collections.namedtuple("Case", "name outcome reason")


def on_one_line(text):
    lines = (line.strip() for line in (text or "").splitlines())
    return " | ".join(line for line in lines if line)[:300]


def gtest_cases(path):
    """The cases of one GoogleTest program, or None if its file is missing or truncated."""
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError):
        return None
    cases = []
    for case in tree.iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        failure, skipped = case.find("failure"), case.find("skipped")
        if failure is not None:
            cases.append(Case(name, "failed", on_one_line(failure.get("message"))))
        elif skipped is not None:
            reason = on_one_line(skipped.get("message"))
            cases.append(Case(name, "skipped", reason or "no reason given"))
        elif case.get("status") == "notrun" or case.get("result") == "suppressed":
            cases.append(Case(name, "skipped", "disabled in the source"))
        else:
            cases.append(Case(name, "passed", ""))
    return cases


def ctest_cases(folder):
    """The cases behind every ctest entry of a build folder."""
    results = folder / "test-results"
    try:
        entries = list(ElementTree.parse(results / "ctest.xml").iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        return [Case("ctest", "failed", f"left no readable results: {error}")]
    cases = []
    for entry in entries:
        name, status = entry.get("name"), entry.get("status")
        if status in ("notrun", "disabled"):
            skipped = entry.find("skipped")
            reason = skipped.get("message") if skipped is not None else status
            # ctest reports notrun for a test that skips itself, and for a missing program.
            if status == "disabled" or reason.startswith("SKIP_"):
                output = on_one_line(entry.findtext("system-out"))
                cases.append(Case(name, "skipped", output or reason))
            else:
                cases.append(Case(name, "failed", reason))
            continue
        own = gtest_cases(results / f"{name}.xml")
        if own is None:
            reason = "" if status == "run" else "failed, crashed or timed out"
            cases.append(Case(name, "passed" if status == "run" else "failed", reason))
            continue
        cases += own
        if not own:
            cases.append(Case(name, "failed", "the program holds no test"))
        elif status != "run" and all(case.outcome != "failed" for case in own):
            cases.append(Case(name, "failed", "all its cases passed, yet the program ended badly"))
    return cases


def check_cases(path):
    cases = []
    for line in path.read_text().splitlines():
        outcome, _, rest = line.partition(" ")
        name, _, reason = rest.partition(": ")
        if outcome not in ("passed", "failed", "skipped"):
            raise SystemExit(f"{path}: neither passed, failed nor skipped: {line}")
        cases.append(Case(name, outcome, reason))
    return cases


def counts(cases):
    count = collections.Counter(case.outcome for case in cases)
    return f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=pathlib.Path)
    parser.add_argument("groups", nargs="*")
    options = parser.parse_args(arguments)

    groups = {}
    for group in options.groups:
        name, _, folder = group.partition("=")
        groups[name] = ctest_cases(pathlib.Path(folder))
    if options.checks:
        groups["checks"] = check_cases(options.checks)

    for outcome in ("skipped", "failed"):
        for group, cases in groups.items():
            for case in cases:
                if case.outcome == outcome:
                    print(f"{outcome} [{group}] {case.name}" + (f": {case.reason}" if case.reason else ""))
    for group, cases in groups.items():
        print(f"{group}: {counts(cases)}")
    every = [case for cases in groups.values() for case in cases]
    print(counts(every))
    failed = any(case.outcome == "failed" for case in every)
    return 1 if failed or not any(case.outcome == "passed" for case in every) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
