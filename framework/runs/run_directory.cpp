#include "runs/run_directory.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "qhost/error.h"
#include "runs/checkpoint.h"
#include "runs/run_result.h"
#include "storage/atomic_file.h"
#include "storage/failpoint.h"
#include "storage/folder.h"
#include "storage/io_error.h"
#include "storage/utc_time.h"

namespace qhost::runs {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t longest_name = 100;
constexpr std::uint64_t units_per_second = 1u << 24;

bool all_of(const std::string& text, const char* extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view(extra).find(c) != std::string_view::npos;
  });
}

void check_name(const std::string& name) {
  if (!name.empty() && name.size() <= longest_name && name[0] != '.' && name[0] != '-' &&
      all_of(name, "._-")) {
    return;
  }
  throw Error(ErrorKind::configuration,
              "\"" + name.substr(0, longest_name) + "\" cannot be the name of a run",
              "use 1 to " + std::to_string(longest_name) +
                  " letters, digits, '.', '_' and '-', not beginning with '.' or '-'");
}

/// "20261123T145207Z-0a1b2c"
bool is_run_id(const std::string& id) {
  static constexpr std::string_view pattern = "ddddddddTddddddZ-xxxxxx";
  if (id.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const bool digit = id[i] >= '0' && id[i] <= '9';
    const bool hex = digit || (id[i] >= 'a' && id[i] <= 'f');
    if (pattern[i] == 'd' ? !digit : pattern[i] == 'x' ? !hex : id[i] != pattern[i]) return false;
  }
  return true;
}

/// `units` is the time since 1970 in 2^-24 s.
std::string run_id(std::uint64_t units) {
  const std::chrono::system_clock::time_point second{
      std::chrono::seconds(units / units_per_second)};
  char fraction[16];
  std::snprintf(fraction, sizeof fraction, "-%06x",
                static_cast<unsigned>(units % units_per_second));
  return storage::utc_stamp(second) + fraction;
}

std::uint64_t units_of(std::chrono::system_clock::time_point time) {
  const auto nanoseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
  constexpr std::uint64_t billion = 1'000'000'000;
  return nanoseconds / billion * units_per_second +
         nanoseconds % billion * units_per_second / billion;
}

/// Removes what creators that were killed left here. A living one is younger than ten minutes.
void sweep_creations(const fs::path& folder) {
  const auto now = fs::file_time_type::clock::now();
  for (const std::string& name : storage::folder_names(folder)) {
    if (!name.starts_with(storage::temporary_prefix)) continue;
    std::error_code error;
    const fs::path path = folder / name;
    if (fs::is_symlink(fs::symlink_status(path, error))) {
      fs::remove(path, error);  // at worst a creator beside us misses its `latest`, and warns
      continue;
    }
    const auto written = fs::last_write_time(path, error);
    if (error || now - written < std::chrono::minutes(10) || Lock::owner(path)) continue;
    fs::remove_all(path, error);
  }
}

/// Something of a run is there to be seen: what `latest` may name.
bool has_something(const fs::path& run) {
  std::error_code error;
  return fs::exists(run / "result.json", error) || !checkpoint_steps(run / "checkpoints").empty();
}

/// A `latest` whose run was deleted names the newest of the others again.
void mend_latest(const fs::path& path) {
  std::error_code error;
  fs::path link = path;
  if (link.filename().empty()) link = link.parent_path();
  if (link.filename() != "latest" || !fs::is_symlink(fs::symlink_status(link, error)) ||
      fs::exists(link, error)) {
    return;
  }
  const fs::path folder = link.has_parent_path() ? link.parent_path() : fs::path(".");
  std::string newest;
  for (const std::string& id : storage::folder_names(folder)) {  // sorted by time
    if (is_run_id(id) && has_something(folder / id)) newest = id;
  }
  if (newest.empty()) return;
  try {
    storage::point_link(link, newest, "latest");
  } catch (const Error&) {
    // Somebody else's folder: the caller says that there is no run.
  }
}

/// A run under a temporary name, so that it can be locked before anybody sees it. Removed unless it
/// got its name.
class Beginning {
 public:
  explicit Beginning(const fs::path& folder) : path_(folder / storage::temporary_name()) {
    storage::make_folder(path_);
    storage::failpoint("run.temporary");
    try {
      storage::make_folder(path_ / "checkpoints");
      storage::make_folder(path_ / "model");
    } catch (...) {
      remove();
      throw;
    }
  }
  ~Beginning() { remove(); }
  Beginning(const Beginning&) = delete;
  Beginning& operator=(const Beginning&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void remove() const noexcept {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path path_;
};

}  // namespace

RunDirectory RunDirectory::create(const fs::path& root, const std::string& name,
                                  std::chrono::system_clock::time_point now) {
  check_name(name);
  const fs::path runs = root / name;
  std::error_code error;
  fs::create_directories(runs, error);
  if (error) storage::fail_io("create", runs, error.value());
  sweep_creations(runs);

  RunDirectory run;
  const Beginning beginning(runs);
  run.lock_ = Lock::acquire(beginning.path());
  for (std::uint64_t units = units_of(now);; ++units) {
    run.path_ = runs / run_id(units);
    if (storage::rename_to_new(beginning.path(), run.path_)) break;
  }
  storage::failpoint("run.after-rename");
  storage::sync_folder(run.path_);
  storage::sync_folder(runs);
  return run;
}

RunDirectory RunDirectory::create_at(const fs::path& given) {
  std::error_code error;
  fs::path path = fs::absolute(given, error).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();  // "here/" is "here"
  const fs::path folder = path.parent_path();
  fs::create_directories(folder, error);
  if (error) storage::fail_io("create", folder, error.value());

  RunDirectory run;
  run.path_ = path;
  const Beginning beginning(folder);
  run.lock_ = Lock::acquire(beginning.path());
  if (!storage::rename_to_new(beginning.path(), path)) {
    throw Error(ErrorKind::configuration, path.string() + " exists already",
                "name a new directory, or continue the run in it with --resume");
  }
  storage::failpoint("run.after-rename");
  storage::sync_folder(path);
  storage::sync_folder(folder);
  return run;
}

std::string RunDirectory::point_latest() const {
  if (!is_run_id(id())) return "";
  std::error_code error;
  const fs::path link = path_.parent_path() / "latest";
  const fs::path named = fs::read_symlink(link, error);
  if (!error && named == id()) return "";
  // Names sort by time. A run that began later and has something to see stays the latest.
  const bool stays = !error && is_run_id(named.string()) && named.string() > id() &&
                     fs::is_directory(path_.parent_path() / named, error);
  if (stays) return "";
  try {
    storage::point_link(link, id(), "latest");
  } catch (const Error& failure) {
    return failure.what();
  }
  return "";
}

RunDirectory RunDirectory::open(const fs::path& path) {
  std::error_code error;
  RunDirectory run;
  mend_latest(path);
  run.path_ = fs::canonical(path, error);
  if (error) {
    throw Error(ErrorKind::configuration,
                "there is no run at " + path.string() + ": " + error.message(),
                "a run lies in runs/NAME/TIME, the newest of a name is runs/NAME/latest");
  }
  // One of them is enough: a run may have been copied without the rest.
  for (const char* part : {"run.lock", "resolved.toml", "checkpoints"}) {
    if (fs::exists(run.path_ / part, error)) return run;
  }
  throw Error(
      ErrorKind::configuration,
      path.string() + " is not a run directory: it has no run.lock, resolved.toml or checkpoints/",
      fs::is_regular_file(run.path_, error)
          ? "name the folder of a run, as runs/NAME/latest; `qhost run` takes an experiment file"
      : fs::exists(path / "latest", error)
          ? "it holds the runs of one name, the newest is " + (path / "latest").string()
          : "name a folder runs/NAME/TIME or runs/NAME/latest");
}

void RunDirectory::lock() {
  if (locked()) return;
  lock_ = Lock::acquire(path_);
  storage::sweep_temporaries(path_);
  storage::sweep_temporaries(model());
  sweep_checkpoints(checkpoints());
}

const char* to_string(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::finished:
      return "finished";
    case RunState::failed:
      return "failed";
    case RunState::interrupted:
      return "interrupted";
  }
  return "?";
}

fs::path runs_root(const std::string& runs_dir) {
  return runs_dir.empty() ? fs::path("runs") : fs::path(runs_dir);
}

RunInfo run_info(const fs::path& path) {
  RunInfo info;
  info.path = path;
  info.id = path.filename().string();
  info.name = path.parent_path().filename().string();
  std::error_code error;
  if (fs::is_regular_file(path / "result.json", error)) {
    try {
      const auto result = read_run_result(path / "result.json", "");
      info.status = result ? result->status.value_or("") : "";
    } catch (const Error&) {
      // A damaged result is none: the run can be continued.
    }
  }
  info.owner = Lock::owner(path);
  if (info.owner) {
    info.state = RunState::running;
  } else if (info.status == "failed") {
    info.state = RunState::failed;
  } else if (!info.status.empty() && info.status != "interrupted") {
    info.state = RunState::finished;
  }
  return info;
}

std::vector<RunInfo> list_runs(const fs::path& root, const std::string& name) {
  check_name(name);
  std::vector<RunInfo> runs;
  for (const std::string& id : storage::folder_names(root / name)) {
    std::error_code error;
    if (is_run_id(id) && fs::is_directory(root / name / id, error)) {
      runs.push_back(run_info(root / name / id));
    }
  }
  std::reverse(runs.begin(), runs.end());  // names sort by time
  return runs;
}

std::vector<RunInfo> list_runs(const fs::path& root) {
  std::vector<RunInfo> runs;
  for (const std::string& name : storage::folder_names(root)) {
    if (name[0] == '.' || name[0] == '-' || name.size() > longest_name || !all_of(name, "._-")) {
      continue;
    }
    for (RunInfo& info : list_runs(root, name)) runs.push_back(std::move(info));
  }
  return runs;
}

}  // namespace qhost::runs
