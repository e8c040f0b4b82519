#!/usr/bin/env python3
"""Tests tools/bootstrap and tools/run on incomplete systems, and with small wheels made here.

Commands that describe the system (uname, getconf, dpkg-query, ...) are replaced by scripts in front of
the PATH; each test works in a copy of tools/ and downloads nothing.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import zipfile

TOOLS = pathlib.Path(__file__).resolve().parents[1]


class ToolsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name) / "a project"
        (self.root / "tools").mkdir(parents=True)
        for name in ("bootstrap", "run"):
            shutil.copy(TOOLS / name, self.root / "tools")
        shutil.copytree(TOOLS / "support", self.root / "tools/support")
        (self.root / "experiments").mkdir()
        (self.root / "experiments/one.toml").write_text("")
        self.wheels = self.root / "index"
        self.wheels.mkdir()
        self.fakes = self.root / "fakes"
        self.fakes.mkdir()
        self.torch = self.root / ".deps/torch/torch/lib/libtorch_cpu.so"

    def fake(self, command, script):
        path = self.fakes / command
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def call(self, *arguments, **environment):
        settings = {key: value for key, value in os.environ.items()
                    if not key.startswith(("QHOST_", "PIP_"))}
        settings |= {"PATH": f"{self.fakes}:{os.environ['PATH']}", "QHOST_SKIP_PACKAGES": "1",
                     "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri(),
                     "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        settings |= environment
        done = subprocess.run([self.root / "tools" / arguments[0], *arguments[1:]], env=settings,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.stdout, "", "stdout belongs to the job")
        return done.returncode, done.stderr

    def wheel(self, name, tags, files):
        """Makes a wheel and returns its SHA-256."""
        package, version = name.split("==")
        stem = f"{package.replace('-', '_')}-{version}"
        path = self.wheels / f"{stem}-{tags}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in files.items():
                archive.writestr(file, text)
            archive.writestr(f"{stem}.dist-info/METADATA",
                             f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
            archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\n")
            archive.writestr(f"{stem}.dist-info/RECORD", "")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def pin(self, **wheels):
        (self.root / "tools/support/libtorch.txt").write_text(
            "# pins\n" + "".join(f"{name.replace('_', '-')}=={version} --hash=sha256:{sha}\n"
                                 for name, (version, sha) in wheels.items()))

    def pin_small_wheels(self, version="2.15.0"):
        torch = self.wheel(f"torch=={version}", "cp311-cp311-manylinux_2_28_x86_64",
                           {"torch/lib/libtorch_cpu.so": version, "torch/bin/protoc": "x"})
        runtime = self.wheel("nvidia-cuda-runtime==13.2.86", "py3-none-manylinux2014_x86_64",
                             {"nvidia/lib/libcudart.so": "y"})
        self.pin(torch=(version, torch), nvidia_cuda_runtime=("13.2.86", runtime))

    # Each case is one sentence on what a system lacks.

    def test_another_machine(self):
        self.fake("uname", "echo aarch64")
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("tools/bootstrap: error: this is a aarch64 machine; the pinned LibTorch is built "
                      "for x86_64\nhelp: set QHOST_TORCH_DIR", said)

    def test_an_old_glibc(self):
        self.fake("getconf", "echo glibc 2.17")
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("this system has glibc 2.17; the pinned LibTorch needs glibc 2.28 or later", said)

    def test_another_c_library(self):
        self.fake("getconf", "exit 1")
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("the C library is not glibc; the pinned LibTorch needs glibc 2.28", said)

    def test_packages_missing_and_no_right_to_install_them(self):
        self.fake("dpkg-query", "echo installed g++; echo not-installed cmake; exit 1")
        self.fake("id", "echo 1000")
        # An installed sudo cannot be hidden, so the path has links to the needed programs only.
        tools = self.root / "path"
        tools.mkdir()
        for command in ("bash", "dirname", "basename", "uname", "getconf", "sort", "head", "grep", "sed",
                        "apt-get", "awk", "realpath"):
            if found := shutil.which(command):
                (tools / command).symlink_to(found)
        status, said = self.call("bootstrap", QHOST_SKIP_PACKAGES="", PATH=f"{self.fakes}:{tools}")
        self.assertEqual(status, 1)
        self.assertIn("packages are missing, and there is no sudo to install them: cmake ninja-build", said)
        self.assertIn("help: as root: apt-get install cmake ninja-build", said)
        self.assertNotIn("g++", said)

    def test_a_failing_installation_shows_the_log_without_addresses(self):
        self.fake("dpkg-query", "exit 1")
        self.fake("id", "echo 0")
        self.fake("apt-get", "echo W: https://example.org/debian failed; exit 100")
        status, said = self.call("bootstrap", QHOST_SKIP_PACKAGES="")
        self.assertEqual(status, 1)
        self.assertIn("W: <address> failed", said)
        self.assertIn("error: apt-get update failed\nhelp: see .deps/log/packages.log", said)

    def test_packages_are_named_before_they_are_installed(self):
        log = self.root / "apt.log"
        self.fake("dpkg-query", "for p; do echo \"installed $p\"; done | grep -v cmake")
        self.fake("id", "echo 1000")
        self.fake("sudo", 'echo "sudo $*" >>"' + str(log) + '"; "$@"')
        self.fake("apt-get", "true")
        self.pin_small_wheels()
        status, said = self.call("bootstrap", QHOST_SKIP_PACKAGES="")
        self.assertEqual(status, 0, said)
        self.assertIn("installing Debian packages with sudo: cmake\n", said)
        self.assertEqual(log.read_text().splitlines(), [
            "sudo apt-get -q update",
            "sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends cmake"])

    def test_a_full_disk(self):
        self.fake("df", "echo header; echo '/dev/x 100 50 49 50% /'")
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("torch needs 2200 MB on the disk of", said)
        self.assertIn("which has 49 MB left", said)

    def test_a_torch_dir_without_libtorch(self):
        status, said = self.call("bootstrap", QHOST_TORCH_DIR="/nowhere")
        self.assertEqual(status, 1)
        self.assertIn("QHOST_TORCH_DIR is /nowhere, which holds no lib/libtorch_cpu.so", said)

    def test_check_installs_nothing(self):
        status, said = self.call("bootstrap", "--check")
        self.assertEqual(status, 1)
        self.assertIn("no LibTorch in .deps/torch\nhelp: call tools/bootstrap", said)
        self.assertFalse((self.root / ".deps").exists())

    # Wheels.

    def test_wheels_are_unpacked_once(self):
        self.pin_small_wheels()
        status, said = self.call("bootstrap")
        self.assertEqual(status, 0, said)
        self.assertIn("downloading torch==2.15.0\ndownloading nvidia-cuda-runtime==13.2.86\nunpacking torch",
                      said)
        self.assertEqual(self.torch.read_text(), "2.15.0")
        self.assertTrue((self.root / ".deps/torch/nvidia/lib/libcudart.so").exists())
        self.assertTrue(os.access(self.root / ".deps/torch/torch/bin/protoc", os.X_OK))
        self.assertFalse((self.root / ".deps/wheels").exists())
        self.assertEqual(self.call("bootstrap"), (0, ""))
        self.assertEqual(self.call("bootstrap", "--check"), (0, ""))

    def test_other_pins_replace_the_folder(self):
        self.pin_small_wheels()
        self.assertEqual(self.call("bootstrap")[0], 0)
        self.pin_small_wheels("2.16.0")
        self.assertEqual(self.call("bootstrap")[0], 0)
        self.assertEqual(self.torch.read_text(), "2.16.0")

    def test_a_wheel_with_another_hash_is_refused(self):
        self.pin_small_wheels()
        self.wheel("torch==2.15.0", "cp311-cp311-manylinux_2_28_x86_64", {"torch/lib/libtorch_cpu.so": "evil"})
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("error: the download of torch==2.15.0 failed", said)
        self.assertFalse((self.root / ".deps/torch").exists())

    def test_a_missing_wheel_leaves_the_others_for_the_next_call(self):
        self.pin_small_wheels()
        runtime = next(self.wheels.glob("nvidia*"))
        runtime.rename(self.root / runtime.name)
        status, said = self.call("bootstrap")
        self.assertEqual(status, 1)
        self.assertIn("the download of nvidia-cuda-runtime==13.2.86 failed", said)
        self.assertFalse((self.root / ".deps/torch").exists())
        (self.root / runtime.name).rename(runtime)
        status, said = self.call("bootstrap")
        self.assertEqual(status, 0)
        self.assertNotIn("downloading torch", said)
        self.assertIn("downloading nvidia-cuda-runtime==13.2.86", said)

    def test_a_call_killed_while_unpacking_is_made_good(self):
        self.pin_small_wheels()
        partial = self.root / ".deps/torch.partial/torch"
        partial.mkdir(parents=True)
        (partial / "half").write_text("")
        self.assertEqual(self.call("bootstrap")[0], 0)
        self.assertEqual(self.torch.read_text(), "2.15.0")
        self.assertFalse((self.root / ".deps/torch/torch/half").exists())

    def test_a_link_set_by_hand_stays(self):
        self.pin_small_wheels()
        mine = self.root / "mine/torch/lib"
        mine.mkdir(parents=True)
        (mine / "libtorch_cpu.so").write_text("my own")
        (self.root / ".deps").mkdir()
        (self.root / ".deps/torch").symlink_to(self.root / "mine")
        self.assertEqual(self.call("bootstrap"), (0, ""))
        self.assertEqual(self.torch.read_text(), "my own")

    # The arguments of tools/run, before anything is built.

    def test_run_without_an_experiment_shows_its_usage(self):
        status, said = self.call("run")
        self.assertEqual(status, 2)
        self.assertIn("tools/run EXPERIMENT [ARGUMENT...]", said)

    def test_run_names_a_missing_experiment_at_once(self):
        status, said = self.call("run", "experiments/nothing.toml")
        self.assertEqual(status, 2)
        self.assertIn("there is no experiment file experiments/nothing.toml\n"
                      "help: experiments/ of this checkout holds: one.toml", said)

    # Building, with scripts that replace cmake and ninja.

    def ready_to_build(self, ninja):
        self.pin_small_wheels()
        (self.root / "CMakePresets.json").write_text("{}")
        self.fake("cmake", f"echo cmake >>'{self.root}/cmake.log'; : >'{self.root}/build/release/build.ninja'")
        self.fake("ninja", ninja)
        program = self.root / "build/release/bin/qhost"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho \"ran $*\" >&2\n")
        program.chmod(0o755)

    def run_one(self, *arguments, **environment):
        return self.call("run", str(self.root / "experiments/one.toml"), *arguments, **environment)

    def test_run_configures_once_and_hands_the_arguments_on(self):
        self.ready_to_build("echo 'ninja: no work to do.'")
        self.assertEqual(self.run_one("train.epochs=2", "a b")[0], 0)
        status, said = self.run_one("train.epochs=2", "a b")
        self.assertEqual((status, said), (0, f"ran run {self.root}/experiments/one.toml train.epochs=2 a b\n"))
        self.assertEqual((self.root / "cmake.log").read_text(), "cmake\n")
        self.run_one(CXX="g++-12")
        self.assertEqual((self.root / "cmake.log").read_text(), "cmake\ncmake\n")

    def test_a_failed_build_shows_the_first_failure_and_runs_nothing(self):
        self.ready_to_build("""cat <<X
[1/3] Building CXX object one.o
FAILED: two.o
g++ -c a very long line
two.cpp:3:1: error: expected ';'
[3/3] Building CXX object three.o
ninja: build stopped: subcommand failed.
X
exit 1""")
        status, said = self.run_one()
        self.assertEqual(status, 1)
        self.assertIn("FAILED: two.o\ntwo.cpp:3:1: error: expected ';'\n", said)
        self.assertIn("tools/run: error: the build of the preset release failed\n"
                      "help: see build/release/build.log", said)
        self.assertNotIn("very long line", said)
        self.assertNotIn("ran run", said)

    def test_a_compiler_killed_for_memory_is_explained(self):
        self.ready_to_build("echo 'FAILED: x.o'; echo 'g++: fatal error: Killed signal terminated program "
                            "cc1plus'; exit 1")
        self.assertIn("CMAKE_BUILD_PARALLEL_LEVEL=1 compiles one file at a time", self.run_one()[1])


if __name__ == "__main__":
    unittest.main()
