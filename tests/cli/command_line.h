// tests/cli/command_line.h: the fixture of tests that call qhost's commands on a small experiment.
#pragma once

#include "cli/process.h"

namespace qhost::tests {

class CommandLine : public ::testing::Test {
 protected:
  using Words = Workshop::Words;

  void SetUp() override { workshop_.write("e.toml", small_experiment()); }

  ProcessResult ok(const Words& words) {
    const ProcessResult result = workshop_.run(words);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return result;
  }
  /// The result.json that `--json` prints as the last line.
  nlohmann::json finished(const Words& words) {
    const nlohmann::json result = last_json_line(ok(words).out);
    EXPECT_EQ(result.at("status"), "finished");
    return result;
  }
  /// Runs a command that must fail with that code. Returns its stderr.
  std::string refused(const Words& words, int code) {
    const ProcessResult result = workshop_.run(words);
    EXPECT_EQ(result.code, code) << ::testing::PrintToString(result);
    return result.err;
  }

  Workshop workshop_;
};

}  // namespace qhost::tests
