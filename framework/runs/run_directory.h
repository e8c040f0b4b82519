/// runs/run_directory.h: runs/<name>/<UTC yyyymmddThhmmssZ>-<6 hex>/, where a run keeps all it
/// knows.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qhost::runs {

/// Who holds a run.
struct LockOwner {
  std::int64_t pid = 0;
  std::string host;
  std::string since;  ///< UTC
};

/// The right to write in a run directory: an flock on its file run.lock, which holds the owner. The
/// kernel gives it back when the process dies, however it dies.
class Lock {
 public:
  /// Throws Error (configuration: exit code 2) with pid, host and time of the owner when another
  /// process, or another Lock of this one, has it.
  static Lock acquire(const std::filesystem::path& run);
  /// The owner when the run is locked by a living process; empty otherwise.
  static std::optional<LockOwner> owner(const std::filesystem::path& run);

  Lock() = default;
  ~Lock();
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&& other) noexcept;
  bool held() const { return fd_ >= 0; }
  void release();

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

/// One run on disk. Move-only: it may hold the lock.
class RunDirectory {
 public:
  /// Makes a new directory, locked, with checkpoints/ and model/. The six digits are the fraction
  /// of the second in units of 2^-24 s, so that names sort by time. It appears with its lock in
  /// place: no moment in which another process could take it. Throws Error (configuration) for a
  /// name that is no folder name, Error (storage) else.
  static RunDirectory create(
      const std::filesystem::path& root, const std::string& name,
      std::chrono::system_clock::time_point now = std::chrono::system_clock::now());
  /// Exactly this directory, which must not exist; its parent folders are made. Locked. Throws
  /// Error (configuration) when it exists, Error (storage) else.
  static RunDirectory create_at(const std::filesystem::path& path);
  /// An existing one, `latest` too; not locked. A `latest` whose run is gone is first set anew, to
  /// the newest that is there. Throws Error (configuration) when it is none.
  static RunDirectory open(const std::filesystem::path& path);

  /// Takes the lock (Lock::acquire) and sweeps what a killed writer left. Does nothing when held.
  void lock();
  /// Points `latest` beside it at it, unless that names a run that began later: once there is
  /// something to see here, a first checkpoint or a result. Does nothing for a run whose folder has
  /// another name than create() gives. Returns "", or why it could not: a file system without links
  /// is no reason to stop.
  std::string point_latest() const;
  bool locked() const { return lock_.held(); }
  void unlock() { lock_.release(); }

  const std::filesystem::path& path() const { return path_; }
  std::string id() const { return path_.filename().string(); }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path model() const { return path_ / "model"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path resolved() const { return path_ / "resolved.toml"; }
  std::filesystem::path environment() const { return path_ / "environment.json"; }
  std::filesystem::path result() const { return path_ / "result.json"; }
  /// What the run is computed from, as hashes.
  std::filesystem::path identity() const { return path_ / "identity.json"; }
  /// Where the first weights came from, of a run with `train.init_from`.
  std::filesystem::path init_from() const { return path_ / "init_from.json"; }

 private:
  RunDirectory() = default;
  std::filesystem::path path_;
  Lock lock_;
};

/// running: locked by a living process. failed: result.json has the status "failed"; it can be
/// tried again. finished: it has one other than that and "interrupted". interrupted: all else.
enum class RunState { running, finished, failed, interrupted };
const char* to_string(RunState state);

struct RunInfo {
  std::filesystem::path path;
  std::string name, id;
  RunState state = RunState::interrupted;
  std::string status;              ///< of result.json, or empty
  std::optional<LockOwner> owner;  ///< when running
};

/// --runs-dir, or "runs" in the working directory when that is empty.
std::filesystem::path runs_root(const std::string& runs_dir = {});

/// State of one run directory.
RunInfo run_info(const std::filesystem::path& path);
/// Runs of one name, newest first.
std::vector<RunInfo> list_runs(const std::filesystem::path& root, const std::string& name);
/// Runs of every name: names sorted, newest first in each.
std::vector<RunInfo> list_runs(const std::filesystem::path& root);

}  // namespace qhost::runs
