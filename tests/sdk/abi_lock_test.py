"""Tests of tools/abi-lock: the tree as it is, and copies with changed headers."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class AbiLock(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        shutil.copytree(SOURCE / "sdk", self.root / "sdk")
        self.call("--compatible")  # the copy starts in order, whatever state the tree is in

    def call(self, *arguments, root=None):
        return subprocess.run([SOURCE / "tools" / "abi-lock", "--root", root or self.root, *arguments],
                              capture_output=True, text=True)

    def change(self, header, old, new):
        path = self.root / "sdk" / "include" / "qhost" / header
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def test_the_tree_is_in_order(self):
        result = self.call("--check", root=SOURCE)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_no_layout_depends_on_the_build_type(self):
        # A plugin of another build type only warns; a member under NDEBUG would break that.
        for header in (SOURCE / "sdk" / "include" / "qhost").rglob("*.h"):
            self.assertNotIn("NDEBUG", header.read_text(), header)

    def test_a_changed_header_needs_a_decision(self):
        self.change("quantizer.h", "int ensemble_size = 1;", "int ensemble_size = 1;\n  int extra = 0;")
        for arguments in (["--check"], []):
            result = self.call(*arguments)
            self.assertEqual(result.returncode, 1)
            self.assertIn("the public headers are not those that sdk/abi.lock accepted for plugin ABI",
                          result.stderr)
            self.assertIn("  quantizer.h: changed\n", result.stderr)
            self.assertIn("raise QHOST_ABI_VERSION", result.stderr)
            self.assertNotIn("graph.h", result.stderr)
        self.assertEqual(self.call("--compatible").returncode, 0)
        self.assertEqual(self.call("--check").returncode, 0)

    def test_new_and_removed_headers_are_named(self):
        headers = self.root / "sdk" / "include" / "qhost"
        (headers / "extra.h").write_text("#pragma once\n")
        (headers / "random.h").unlink()
        result = self.call("--check")
        self.assertEqual(result.returncode, 1)
        self.assertIn("  extra.h: new\n  random.h: removed\n", result.stderr)

    def test_a_raised_number_is_a_decision(self):
        number = self.number()
        self.change("plugin.h", f"#define QHOST_ABI_VERSION {number}",
                    f"#define QHOST_ABI_VERSION {number + 1}")
        self.assertEqual(self.call("--check").returncode, 1)
        self.assertEqual(self.call().returncode, 0)
        self.assertEqual(self.call("--check").returncode, 0)
        self.change("plugin.h", f"#define QHOST_ABI_VERSION {number + 1}",
                    f"#define QHOST_ABI_VERSION {number}")
        result = self.call("--compatible")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"QHOST_ABI_VERSION went back from {number + 1} to {number}", result.stderr)

    def number(self):
        for line in (self.root / "sdk" / "abi.lock").read_text().splitlines():
            if line.startswith("abi "):
                return int(line.split()[1])
        self.fail("no number in sdk/abi.lock")

    def test_comments_and_layout_do_not_count(self):
        self.change("error.h", "#pragma once", "// a word more\n/* and\n   more */\n#pragma   once\n\n")
        self.assertEqual(self.call("--check").returncode, 0)

    def test_a_comment_mark_in_a_string_is_no_comment(self):
        self.change("error.h", "namespace qhost {",
                    'namespace qhost {\ninline const char* const site = "https://a";')
        self.call("--compatible")
        self.change("error.h", "https://a", "https://b")
        self.assertEqual(self.call("--check").returncode, 1)


if __name__ == "__main__":
    unittest.main()
