// tests/cli/process.h: the qhost executable as a child process, and a folder to run it in.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace qhost::tests {

namespace fs = std::filesystem;

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct ProcessResult {
  int code = -1;    ///< the exit code; -1 if a signal ended it
  int signal = 0;   ///< that signal
  std::string out;  ///< stdout
  std::string err;  ///< stderr
};
inline void PrintTo(const ProcessResult& result, std::ostream* stream) {
  *stream << "exit code " << result.code << ", signal " << result.signal << "\n--- stdout\n"
          << result.out << "--- stderr\n"
          << result.err;
}

struct ProcessOptions {
  std::map<std::string, std::string> environment;  ///< added to an empty environment
  std::function<void()> before;                    ///< in the child, before the program starts
};

/// A folder with experiment files, in which qhost runs with an environment of its own: the user's
/// plugins, data sets and settings have no effect.
class Workshop {
 public:
  using Words = std::vector<std::string>;

  Workshop() {
    std::string pattern = (fs::temp_directory_path() / "qhost-cli-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
    path_ = fs::canonical(pattern);
  }
  ~Workshop() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

  /// A running qhost. It is killed at the end of its scope unless it was waited for.
  class Child {
   public:
    Child(pid_t pid, fs::path out, fs::path err)
        : pid_(pid), out_(std::move(out)), err_(std::move(err)) {}
    ~Child() {
      if (pid_ <= 0) return;
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    Child(Child&& other) noexcept
        : pid_(std::exchange(other.pid_, 0)),
          out_(std::move(other.out_)),
          err_(std::move(other.err_)) {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    bool running() {
      siginfo_t info{};
      ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
      return info.si_pid == 0;
    }
    /// Waits until `condition` holds; returns false if the process ends first.
    bool wait_until(const std::function<bool()>& condition) {
      while (!condition()) {
        if (!running()) return condition();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
      return true;
    }
    ProcessResult wait() {
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      pid_ = 0;
      ProcessResult result;
      if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
      result.out = slurp(out_);
      result.err = slurp(err_);
      return result;
    }

   private:
    pid_t pid_;
    fs::path out_, err_;
  };

  Child start(const Words& arguments, const ProcessOptions& options = {}) {
    const std::string number = std::to_string(++children_);
    const fs::path out = path_ / (".stdout-" + number), err = path_ / (".stderr-" + number);
    // Prepare everything before the fork: afterwards only system calls are safe.
    Words words = {QHOST_BINARY_DIR "/bin/qhost"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::map<std::string, std::string> environment = {{"PATH", "/usr/bin:/bin"},
                                                      {"HOME", path_ / "home"},
                                                      {"TMPDIR", fs::temp_directory_path()},
                                                      {"OMP_NUM_THREADS", "1"},
                                                      {"LC_ALL", "C"}};
    // The environment configures sanitizers, coverage and a LibTorch elsewhere.
    for (const char* name : {"LD_LIBRARY_PATH", "GCOV_PREFIX", "GCOV_PREFIX_STRIP"}) {
      if (const char* value = std::getenv(name)) environment[name] = value;
    }
    for (const auto& [name, value] : options.environment) environment[name] = value;
    Words assignments;
    for (const auto& [name, value] : environment) assignments.push_back(name + "=" + value);
    std::vector<char*> argv, envp;
    for (std::string& word : words) argv.push_back(word.data());
    for (std::string& word : assignments) envp.push_back(word.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);

    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) {
      const int in = ::open("/dev/null", O_RDONLY);
      const int to = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int talk = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (::dup2(in, 0) < 0 || ::dup2(to, 1) < 0 || ::dup2(talk, 2) < 0 ||
          ::chdir(path_.c_str()) != 0) {
        ::_exit(127);
      }
      if (options.before) options.before();
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(127);
    }
    return {pid, out, err};
  }
  ProcessResult run(const Words& arguments, const ProcessOptions& options = {}) {
    return start(arguments, options).wait();
  }
  /// Starts a run that dies at a failpoint (storage/failpoint.h); returns false if it does not
  /// reach it.
  bool run_dies_at(const std::string& point, const Words& arguments) {
    return run(arguments, {.environment = {{"QHOST_FAILPOINT", point}}}).signal == SIGKILL;
  }

 private:
  fs::path path_;
  int children_ = 0;
};

/// The seed of a test of random moments: $QHOST_TEST_SEED, or random. It is printed, so that a
/// failure can be repeated.
inline std::uint32_t drawn_seed() {
  const char* given = std::getenv("QHOST_TEST_SEED");
  const std::uint32_t seed = given != nullptr
                                 ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                 : std::random_device{}();
  std::cout << "QHOST_TEST_SEED=" << seed << "\n";
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

/// The last line that `run --json` printed.
inline nlohmann::json last_json_line(const std::string& text) {
  std::istringstream lines(text);
  std::string line, last;
  while (std::getline(lines, line)) {
    if (!line.empty()) last = line;
  }
  return nlohmann::json::parse(last);
}

/// The whole lines of metrics.jsonl, without clock times. A run in progress may have written half
/// of the last line.
inline std::vector<nlohmann::json> metrics_of(const fs::path& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line) && !file.eof();) {
    lines.push_back(nlohmann::json::parse(line));
    lines.back().erase("seconds");
  }
  return lines;
}

inline nlohmann::json result_of(const fs::path& run) {
  return nlohmann::json::parse(slurp(run / "result.json"));
}

/// The hashed files below checkpoints/, by their path there: everything that a resumed run depends
/// on. Manifests are left out: their offsets vary with the digits of times.
inline std::map<std::string, std::string> checkpoint_files(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(run / "checkpoints")) {
    const std::string name = entry.path().lexically_relative(run / "checkpoints").string();
    if (entry.is_symlink()) {
      files[name] = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file() && entry.path().filename() != "manifest.json") {
      files[name] = slurp(entry.path());
    }
  }
  return files;
}

inline std::string names_of(const std::map<std::string, std::string>& files) {
  std::string text;
  for (const auto& [name, unused] : files) text += name + "\n";
  return text;
}

/// A small ResNet on a tenth of the digits: 135 images, 5 steps per epoch, some 10 ms per step.
inline std::string small_experiment() {
  return R"([data]
name = "digits"
fraction = 0.1

[model]
name = "resnet"
depth = 8

[train]
epochs = 2
batch_size = 32
threads = 1
seed = 1
verify = "off"

[optimizer]
name = "sgd"
learning_rate = 0.1

[quantizer]
name = "bwn"
)";
}

}  // namespace qhost::tests
