// External events: signals that must be ignored, readers that go away.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

class Outside : public CommandLine {};

const Words long_run = {"run",       "e.toml", "train.epochs=100000", "train.evaluate_every=100000",
                        "--run-dir", "r"};

TEST_F(Outside, AHangupStopsARunLikeSigterm) {
  Workshop::Child child = workshop_.start(long_run);
  const fs::path run = workshop_ / "r";
  ASSERT_TRUE(child.wait_until([&] { return fs::exists(run / "checkpoints/step-00000005"); }));
  child.signal(SIGHUP);
  const ProcessResult stopped = child.wait();
  EXPECT_EQ(stopped.code, 75) << ::testing::PrintToString(stopped);
  EXPECT_THAT(stopped.err,
              ContainsRegex("\nSIGHUP: stopping at the end of this training step, to be continued "
                            "with --resume auto; a SIGINT ends it at once and loses "));
  EXPECT_EQ(result_of(run).at("status"), "interrupted");
}

// nohup ignores SIGHUP, and a shell ignores SIGINT for background jobs.
TEST_F(Outside, ASignalThatIsIgnoredAtTheStartStaysIgnored) {
  for (const int ignored : {SIGHUP, SIGINT}) {
    const std::string directory = "ignores-" + std::to_string(ignored);
    Words words = long_run;
    words.back() = directory;
    Workshop::Child child =
        workshop_.start(words, {.before = [ignored] { ::signal(ignored, SIG_IGN); }});
    const fs::path run = workshop_ / directory;
    const auto lines = [&] {
      return fs::exists(run / "metrics.jsonl") ? slurp(run / "metrics.jsonl").size() : 0;
    };
    ASSERT_TRUE(child.wait_until([&] { return lines() > 0; }));
    child.signal(ignored);
    child.signal(ignored);
    const std::size_t before = lines();
    ASSERT_TRUE(child.wait_until([&] { return lines() > before; })) << "it did not go on";
    child.signal(SIGTERM);
    const ProcessResult stopped = child.wait();
    EXPECT_EQ(stopped.code, 75);
    EXPECT_THAT(stopped.err, AllOf(HasSubstr("\nSIGTERM: "), Not(HasSubstr("\nSIGHUP: ")),
                                   Not(HasSubstr("\nSIGINT: "))));
  }
}

/// In the child: makes `fd` a pipe without a reader.
void leave_reader(int fd) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(126);
  ::dup2(ends[1], fd);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Outside, ARunWhoseReaderGoesAwayGoesOnAndEndsWithSix) {
  const std::vector<std::pair<std::string, std::function<void()>>> cases = {
      {"stdout_pipe", [] { leave_reader(1); }},
      {"stderr_pipe", [] { leave_reader(2); }},
      {"both_pipes",
       [] {
         leave_reader(1);
         leave_reader(2);
       }},
      {"closed",
       [] {
         ::close(0);
         ::close(1);
         ::close(2);
       }},
  };
  for (const auto& [name, before] : cases) {
    const ProcessResult result =
        workshop_.run({"run", "e.toml", "--run-dir", name}, {.before = before});
    EXPECT_EQ(result.code, 6) << name << ": " << ::testing::PrintToString(result);
    const json kept = result_of(workshop_ / name);
    EXPECT_EQ(kept.at("status"), "finished") << name;
    EXPECT_EQ(kept.at("epochs"), 2) << name;
    if (name == "stdout_pipe") {
      EXPECT_THAT(result.err, HasSubstr("error: standard output could not be written: "));
    }
    // No file of the run got the descriptor of a closed stream, and with it the messages.
    EXPECT_THAT(slurp(workshop_ / name / "metrics.jsonl"), Not(HasSubstr("epoch 1/2  train")));
  }
}

// The exit code of an error has priority over that of a missing reader.
TEST_F(Outside, AnErrorKeepsItsCodeWithoutAReader) {
  EXPECT_EQ(workshop_.run({"run", "no.toml"}, {.before = [] { leave_reader(2); }}).code, 2);
}

}  // namespace
}  // namespace qhost::tests
