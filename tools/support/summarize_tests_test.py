#!/usr/bin/env python3
"""Tests summarize_tests.py on results in the form of ctest and GoogleTest."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import summarize_tests

GTEST = """<testsuites><testsuite name="S">
  <testcase name="good" classname="S" status="run" result="completed"/>
  {}
</testsuite></testsuites>"""
SKIPPED = """<testcase name="absent" classname="S" status="run" result="skipped">
  <skipped message="a.cpp:4&#x0A;no data set here"/></testcase>"""
FAILED = """<testcase name="bad" classname="S" status="run" result="completed">
  <failure message="a.cpp:6&#x0A;Expected: 1"/></testcase>"""
DISABLED = '<testcase name="off" classname="S" status="notrun" result="suppressed"/>'


class SummaryTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        (self.folder / "test-results").mkdir()

    def write(self, name, text):
        (self.folder / "test-results" / name).write_text(text)

    def ctest(self, *entries):
        cases = "".join(
            f'<testcase name="{name}" status="{status}">{inside}</testcase>'
            for name, status, inside in entries
        )
        self.write("ctest.xml", f"<testsuite>{cases}</testsuite>")

    def summary(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = summarize_tests.main([f"it={self.folder}", *arguments])
        return status, out.getvalue().splitlines()

    def test_all_passed(self):
        self.ctest(("prog", "run", ""), ("script", "run", ""))
        self.write("prog.xml", GTEST.format(""))
        self.assertEqual(
            self.summary(),
            (0, ["it: 2 passed, 0 failed, 0 skipped", "2 passed, 0 failed, 0 skipped"]),
        )

    def test_skips_are_named_with_their_reason(self):
        self.ctest(("prog", "run", ""), ("sh", "notrun", '<skipped message="SKIP_RETURN_CODE=77"/>'
                    "<system-out>no GPU here</system-out>"))
        self.write("prog.xml", GTEST.format(SKIPPED + DISABLED))
        status, lines = self.summary()
        self.assertEqual(status, 0)
        self.assertIn("skipped [it] S.absent: a.cpp:4 | no data set here", lines)
        self.assertIn("skipped [it] S.off: disabled in the source", lines)
        self.assertIn("skipped [it] sh: no GPU here", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 3 skipped")

    def test_a_failed_case_counts_once(self):
        self.ctest(("prog", "fail", ""))
        self.write("prog.xml", GTEST.format(FAILED))
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("failed [it] S.bad: a.cpp:6 | Expected: 1", lines)

    def test_a_crash_counts_though_it_left_no_file(self):
        self.ctest(("prog", "fail", ""))
        self.assertEqual(self.summary()[0], 1)
        self.write("prog.xml", "<testsuites><testsuite")
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_bad_end_after_passing_cases_counts(self):
        self.ctest(("prog", "fail", ""))
        self.write("prog.xml", GTEST.format(""))
        status, lines = self.summary()
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed, 0 skipped"))

    def test_a_missing_program_is_a_failure_not_a_skip(self):
        self.ctest(("prog", "notrun", '<skipped message="Unable to find executable"/>'))
        self.assertEqual(self.summary()[0], 1)

    def test_no_results_and_no_tests_are_failures(self):
        self.assertEqual(self.summary()[0], 1)
        self.ctest()
        self.assertEqual(self.summary(), (1, ["it: 0 passed, 0 failed, 0 skipped",
                                              "0 passed, 0 failed, 0 skipped"]))

    def test_checks_join_the_sum(self):
        self.ctest(("script", "run", ""))
        checks = self.folder / "checks.txt"
        checks.write_text("passed scripts\nfailed formatting: 2 files\n")
        status, lines = self.summary("--checks", str(checks))
        self.assertEqual((status, lines[-1]), (1, "2 passed, 1 failed, 0 skipped"))
        self.assertIn("failed [checks] formatting: 2 files", lines)


if __name__ == "__main__":
    unittest.main()
