// What a terminal shows: tables in its width, progress in one line.
#include <gmock/gmock.h>
#include <sys/ioctl.h>

#include "cli/command_line.h"
#include "common/utf8.h"

namespace qhost::tests {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

/// A terminal of that many columns. What is written to it is read by a thread.
class Terminal {
 public:
  explicit Terminal(unsigned short columns) : master_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) {
      throw std::runtime_error("no pseudo-terminal");
    }
    name_ = ::ptsname(master_);
    slave_ = ::open(name_.c_str(), O_RDWR | O_NOCTTY);
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(master_, TIOCSWINSZ, &size);
    reader_ = std::thread([this] {
      char buffer[4096];
      for (ssize_t n = 0; (n = ::read(master_, buffer, sizeof buffer)) > 0;) {
        text_.append(buffer, static_cast<std::size_t>(n));
      }
    });
  }
  ~Terminal() { finish(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  ProcessOptions options() const {
    return {.environment = {{"TERM", "xterm"}}, .before = [slave = slave_] {
              ::dup2(slave, 1);
              ::dup2(slave, 2);
            }};
  }
  /// All that was written; no process may still write.
  const std::string& finish() {
    if (!reader_.joinable()) return text_;
    ::close(slave_);  // the last writer: the reader ends
    reader_.join();
    ::close(master_);
    return text_;
  }

 private:
  int master_, slave_ = -1;
  std::string name_, text_;
  std::thread reader_;
};

class OnATerminal : public CommandLine {
 protected:
  std::string shown(const Words& command, unsigned short columns) {
    Terminal terminal(columns);
    const ProcessResult result = workshop_.run(command, terminal.options());
    EXPECT_EQ(result.code, 0);
    return terminal.finish();
  }
};

std::size_t widest(const std::string& text) {
  std::size_t width = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find("https://") == std::string::npos) width = std::max(width, display_width(line));
  }
  return width;
}

TEST_F(OnATerminal, TablesFitAndAPipeGetsWholeLines) {
  for (const unsigned short columns : {80, 132}) {
    const std::string list = shown({"list"}, columns);
    EXPECT_LE(widest(list), columns);
    EXPECT_THAT(list, AllOf(HasSubstr("weights of -1 and +1"), HasSubstr("clipped latent")));
  }
  EXPECT_GT(widest(shown({"list"}, 250)), 132U);
  const ProcessResult piped = ok({"list"});
  EXPECT_GT(widest(piped.out), 132U);
}

TEST_F(OnATerminal, ARunDirectoryGoesBelowItsRow) {
  const std::string text = shown({"run", "e.toml", "train.epochs=1"}, 80);
  EXPECT_THAT(text, AllOf(ContainsRegex("run +status +test accuracy +bits/weight +bits/input +"
                                        "weight bytes\r\n  run directory\r\n---"),
                          ContainsRegex("\r\n  runs/[^\r]*\r\n")));
}

TEST_F(OnATerminal, ProgressMovesWhileTheNetworkIsEvaluated) {
  // The first line is shown at once, whatever the machine's pace.
  const std::string text =
      shown({"run", "e.toml", "train.epochs=0", "train.evaluation_batch_size=1"}, 120);
  EXPECT_THAT(text, ContainsRegex("\r\x1b\\[Ktest 1/450  ETA [0-9]+:[0-9][0-9]"));
  const std::string eval = shown({"eval", "runs/e/latest"}, 120);
  EXPECT_THAT(eval, ContainsRegex("\r\x1b\\[Ktest 1/450  ETA [0-9]+:[0-9][0-9]"));
  EXPECT_THAT(ok({"eval", "runs/e/latest"}).err, Not(HasSubstr("ETA")));
}

}  // namespace
}  // namespace qhost::tests
