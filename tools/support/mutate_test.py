#!/usr/bin/env python3
"""Tests tools/mutate on a small tree whose build and tests are scripts."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

CHANGED = [0, 1, 2, 3, 4, 5, 7, 8, 15, 25, 30]
MUTATE = pathlib.Path(__file__).resolve().parents[1] / "mutate"

# The test program notices changes of the lines 0 .. 9, the whole suite also those of 10 .. 19.
PROGRAM = """#!/bin/bash
for i in $(seq 0 {last}); do
  grep -q "^line $i;" framework/a.cpp || {{ echo "[  FAILED  ] A.Line$i (1 ms)"; exit 1; }}
done
"""


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Mutate(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.root = self.folder / "tree"
        (self.root / "framework").mkdir(parents=True)
        self.source = self.root / "framework/a.cpp"
        self.source.write_text("".join(f"line {i};\n" for i in range(40)))
        (self.root / ".gitignore").write_text("/build/\n/.deps/\n")
        (self.root / ".deps").mkdir()
        script(self.root / "tools/mutate", MUTATE.read_text().replace("ENOUGH = 60", "ENOUGH = 5"))
        self.list = self.root / "tools/mutations/a.txt"
        self.list.parent.mkdir()
        self.list.write_text("\n".join(
            f"@ L{i} framework/a.cpp | a_test\n# line {i} is another\n"
            + ("= nobody reads it\n" if i == 30 else "") + f"-line {i};\n+other {i};\n"
            for i in CHANGED))
        script(self.root / "build/release/tests/a_test", PROGRAM.format(last=9))
        (self.root / "build/release/build.ninja").write_text("")
        bin_folder = self.folder / "bin"
        script(bin_folder / "ninja", "#!/bin/bash\n")
        script(bin_folder / "cmake", "#!/bin/bash\n")
        script(bin_folder / "ctest", PROGRAM.format(last=19))
        script(self.root / "tools/bootstrap", "#!/bin/bash\n")
        self.environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_it(self, *arguments):
        done = subprocess.run([str(self.root / "tools/mutate"), *arguments], text=True,
                              capture_output=True, env=self.environment)
        return done.returncode, done.stdout, done.stderr

    def copy(self):
        """Without private mounts, the copy gets a new build, without the test program."""
        folder = self.root / "build/mutate/tree/build/release/tests"
        if not (folder / "a_test").exists():
            script(folder / "a_test", PROGRAM.format(last=9))
            (folder.parent / "build.ninja").write_text("")

    def test_says_who_caught_what_and_who_survived(self):
        before = self.source.read_text()
        self.copy()
        code, out, err = self.run_it("--only", "L3,L15,L25,L30")
        self.assertEqual(code, 1, err)
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^L3 +caught: A\.Line3  \[line 3 is another; \d+ s\]")
        self.assertRegex(lines[1], r"^L15 +caught by others: A\.Line15 ")
        self.assertRegex(lines[2], r"^L25 +survived  \[")
        self.assertRegex(lines[3], r"^L30 +equivalent  \[")
        self.assertEqual(lines[4:], ["4 changes: 2 caught, 1 equivalent, 1 not caught",
                                     "  L25: line 25 is another (framework/a.cpp)"])
        self.assertEqual(self.source.read_text(), before)
        self.assertIn("| L3 | framework/a.cpp | line 3 is another | A.Line3 |",
                      self.run_it("--table")[1])

    def test_goes_on_where_it_stopped(self):
        self.copy()
        self.run_it("--only", "L0,L1")
        results = self.root / "build/mutate/results.jsonl"
        with results.open("a") as file:
            file.write('{"id": "L2", "out')  # killed while writing
        mutated = self.root / "build/mutate/tree/framework/a.cpp"
        mutated.write_text("left by a call that was killed")
        code, out, err = self.run_it("--related")
        self.assertIn(f"2 were finished before, {len(CHANGED) - 2} are left", err)
        self.assertEqual(len(results.read_text().splitlines()), len(CHANGED))
        self.assertRegex(out, r"(?m)^L2 +caught: A\.Line2 ")
        self.assertEqual(mutated.read_text(), self.source.read_text())
        # A changed change counts as new; with another tree, all of them are new.
        self.list.write_text(self.list.read_text().replace("+other 5;", "+another 5;"))
        self.assertIn(f"{len(CHANGED) - 1} were finished before, 1 are left", self.run_it("--related")[2])
        self.source.write_text(self.source.read_text() + "// another tree\n")
        self.assertNotIn("finished before", self.run_it("--only", "L0")[2])

    def test_an_interrupted_call_ends_what_it_started(self):
        self.copy()
        script(self.folder / "bin/ninja", "#!/bin/bash\ntouch build/release/started\nsleep 600\n")
        call = subprocess.Popen([str(self.root / "tools/mutate"), "--only", "L3"], text=True,
                                stderr=subprocess.PIPE, env=self.environment)
        started = self.root / "build/mutate/tree/build/release/started"
        while not started.exists() and call.poll() is None:
            time.sleep(0.02)
        self.assertIn("another call works in", self.run_it("--only", "L3")[2])
        half = started.with_name("half")
        half.write_text("")
        os.utime(half)
        call.send_signal(signal.SIGTERM)
        self.assertIn("interrupted: the same call goes on", call.communicate()[1])
        self.assertEqual(call.returncode, 130)
        script(self.folder / "bin/ninja", "#!/bin/bash\n")
        self.assertIn("L3 ", self.run_it("--only", "L3")[1])
        self.assertFalse(half.exists(), "what was half built is taken for whole")

    def test_a_test_that_fails_anyway_catches_nothing(self):
        self.source.write_text(self.source.read_text().replace("line 4;", "line  4;"))
        self.copy()
        code, _, err = self.run_it("--only", "L3")
        self.assertEqual(code, 1)
        self.assertIn("L4: its lines occur 0 times in framework/a.cpp", err)
        self.list.write_text(self.list.read_text().replace("-line 4;", "-line  4;"))
        code, _, err = self.run_it("--only", "L3")
        self.assertEqual(code, 2)
        self.assertIn("a_test fails on the unchanged tree: A.Line4", err)

    def test_check_names_what_no_longer_applies(self):
        self.assertEqual(self.run_it("--check"), (0, "", ""))
        self.source.write_text("line 7;\nline 7;\n")
        code, _, err = self.run_it("--check")
        self.assertEqual(code, 1)
        self.assertIn("L7: its lines occur 2 times in framework/a.cpp", err)
        self.assertIn("L8: its lines occur 0 times in framework/a.cpp", err)
        self.assertIn("help: bring the lines of tools/mutations up to date", err)
        code, _, err = self.run_it("--only", "nothing")
        self.assertNotEqual(code, 0)


if __name__ == "__main__":
    unittest.main()
