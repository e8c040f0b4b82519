#include "runs/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>
#include <utility>

#include "common/file_descriptor.h"
#include "qhost/error.h"
#include "runs/checkpoint_name.h"
#include "storage/atomic_file.h"
#include "storage/failpoint.h"
#include "storage/folder.h"
#include "storage/io_error.h"
#include "storage/sha256.h"

namespace qhost::runs {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* format_name = "qhost checkpoint 1";
constexpr const char* tensors_name = "state.safetensors";
constexpr const char* state_name = "state.json";
constexpr const char* manifest_name = "manifest.json";

/// JSON writes NaN and infinity as null, and a resumed run would see another value.
void require_finite(const json& value, const std::string& path) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    throw Error(ErrorKind::internal,
                "cannot checkpoint: " + path + " is not finite, and JSON cannot hold it",
                "store it as a string, or leave it out");
  }
  if (value.is_structured()) {
    for (const auto& [key, inner] : value.items()) require_finite(inner, path + "/" + key);
  }
}

std::string dump(const json& value, const char* what) {
  try {
    return value.dump(1) + "\n";
  } catch (const json::exception& e) {
    throw Error(ErrorKind::internal,
                std::string("cannot checkpoint: ") + what + " is not UTF-8 (" + e.what() + ")");
  }
}

/// A folder under a temporary name, removed unless it got another one.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& parent) : path_(parent / storage::temporary_name()) {
    storage::make_folder(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);  // nothing there after replace_folder()
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// A file of the folder that is being made: plain writes, since the folder's rename commits it.
class NewFile {
 public:
  /// Messages name `shown`, the file as it will be called, not the temporary.
  NewFile(const fs::path& path, fs::path shown, std::uint64_t wanted)
      : shown_(std::move(shown)),
        wanted_(wanted),
        fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (!fd_.valid()) storage::fail_io("create", shown_, errno);
  }

  void write(std::span<const std::byte> bytes) {
    if (const int error = storage::write_all(fd_.get(), bytes)) {
      storage::fail_io("write", shown_, error, wanted_);
    }
    hash_.update(bytes);
  }
  /// Syncs, closes, and returns the entry of the manifest.
  json finish() {
    const bool synced = ::fsync(fd_.get()) == 0;
    const int sync_error = errno;
    const bool closed = fd_.close() == 0 || errno == EINTR;
    if (!synced) storage::fail_io("write", shown_, sync_error, wanted_);
    if (!closed) storage::fail_io("write", shown_, errno, wanted_);
    return {{"bytes", wanted_}, {"sha256", hash_.hex()}};
  }

 private:
  fs::path shown_;
  std::uint64_t wanted_;
  FileDescriptor fd_;
  storage::Sha256 hash_;
};

/// Makes the three files in a temporary folder and gives it the name `name`.
fs::path write_folder(const fs::path& directory, const std::string& name, const std::string& crash,
                      std::int64_t step, const storage::Tensors& tensors, const json& state,
                      const json& notes) {
  if (step < 0) {
    throw Error(ErrorKind::internal, "cannot checkpoint step " + std::to_string(step));
  }
  if (!state.is_object()) {
    throw Error(ErrorKind::internal, "cannot checkpoint: the state is not a JSON object");
  }
  require_finite(state, "state");
  const std::string state_text = dump(state, "the state");
  const std::uint64_t tensor_bytes = storage::serialized_bytes(tensors);
  const fs::path folder = directory / name;
  const std::uint64_t wanted = tensor_bytes + state_text.size();
  if (const auto free = storage::free_space(directory); free && *free < wanted) {
    storage::fail_io("write", folder, ENOSPC, wanted);
  }

  const TemporaryFolder temporary(directory);
  storage::failpoint(crash + ".temporary");
  json manifest = {{"format", format_name}, {"step", step}, {"notes", notes}};
  {
    NewFile file(temporary.path() / tensors_name, folder / tensors_name, tensor_bytes);
    bool first = true;
    storage::serialize(tensors, {}, [&](std::span<const std::byte> piece) {
      if (std::exchange(first, false)) {
        file.write(piece.first(piece.size() / 2));
        storage::failpoint(crash + ".half");
        piece = piece.subspan(piece.size() / 2);
      }
      file.write(piece);
    });
    manifest["files"][tensors_name] = file.finish();
  }
  storage::failpoint(crash + ".tensors");
  {
    NewFile file(temporary.path() / state_name, folder / state_name, state_text.size());
    file.write(std::as_bytes(std::span(state_text)));
    manifest["files"][state_name] = file.finish();
  }
  storage::failpoint(crash + ".state");
  {
    const std::string text = dump(manifest, "the notes");
    NewFile file(temporary.path() / manifest_name, folder / manifest_name, text.size());
    file.write(std::as_bytes(std::span(text)));
    file.finish();
  }
  storage::sync_folder(temporary.path());
  storage::failpoint(crash + ".before-rename");
  storage::replace_folder(temporary.path(), folder);
  storage::failpoint(crash + ".after-rename");
  storage::sync_folder(directory);
  return folder;
}

[[noreturn]] void bad(const fs::path& file, const std::string& why) {
  throw Error(ErrorKind::storage, file.string() + ": " + why,
              "the checkpoint was damaged after it was written; use another one");
}

json read_json(const fs::path& path) {
  try {
    return json::parse(storage::read_file(path));
  } catch (const json::exception&) {
    bad(path, "not valid JSON");
  }
}

}  // namespace

fs::path write_checkpoint(const fs::path& directory, std::int64_t step,
                          const storage::Tensors& tensors, const json& state,
                          const CheckpointOptions& options) {
  if (options.keep < 2) {
    throw Error(ErrorKind::internal,
                "checkpoints: keep is " + std::to_string(options.keep) +
                    ", at least 2 are needed, so that a damaged one has one before it");
  }
  const fs::path folder = write_folder(directory, checkpoint_name(step_prefix, step), "checkpoint",
                                       step, tensors, state, options.notes);
  storage::failpoint("checkpoint.before-removal");
  int kept = 0;
  for (const std::int64_t other : checkpoint_steps(directory)) {
    const bool future = other > step;
    if (!future) ++kept;
    if (future || kept > options.keep)
      storage::retire_folder(directory / checkpoint_name(step_prefix, other));
  }
  return folder;
}

fs::path write_best(const fs::path& directory, std::int64_t step, const storage::Tensors& tensors,
                    const json& state, const json& notes) {
  const std::string name = checkpoint_name(best_prefix, step);
  const fs::path folder = write_folder(directory, name, "best", step, tensors, state, notes);
  const fs::path link = directory / "best";
  std::error_code ignored;
  if (fs::is_directory(fs::symlink_status(link, ignored))) {
    storage::retire_folder(link);  // a copy that resolved the link left a folder
  }
  storage::point_link(link, name, "best-link");
  storage::failpoint("best.after-link");
  for (const std::string& other : storage::folder_names(directory)) {
    if (other != name && step_of(other, best_prefix)) storage::retire_folder(directory / other);
  }
  return folder;
}

LoadedCheckpoint load_checkpoint(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) bad(folder, "there is no such folder");
  LoadedCheckpoint loaded;
  loaded.folder = folder;
  const fs::path manifest_path = folder / manifest_name;
  const json manifest = read_json(manifest_path);
  try {
    if (manifest.at("format") != format_name) {
      bad(manifest_path, "format is " + manifest.at("format").dump() + ", this version reads \"" +
                             format_name + "\"");
    }
    manifest.at("step").get_to(loaded.step);
    loaded.notes = manifest.at("notes");
    if (manifest.at("files").size() != 2) bad(manifest_path, "it must list two files");
    for (const char* name : {tensors_name, state_name}) {
      const json& entry = manifest.at("files").at(name);
      const auto expected_bytes = entry.at("bytes").get<std::uint64_t>();
      const auto expected_hash = entry.at("sha256").get<std::string>();
      const fs::path path = folder / name;
      const std::uint64_t bytes = fs::file_size(path, error);
      if (error) bad(path, "cannot be read: " + error.message());
      if (bytes != expected_bytes) {
        bad(path, "has " + std::to_string(bytes) + " bytes, its manifest says " +
                      std::to_string(expected_bytes));
      }
      const std::string hash = storage::sha256_file(path);
      if (hash != expected_hash) {
        bad(path, "has SHA-256 " + hash + ", its manifest says " + expected_hash);
      }
    }
  } catch (const json::exception& e) {
    bad(manifest_path, std::string("not a manifest: ") + e.what());
  }
  // A folder may be copied under any other name, but not under another step's.
  const std::string name = folder.filename().string();
  for (const std::string_view prefix : {step_prefix, best_prefix}) {
    const auto step = step_of(name, prefix);
    if (step && *step != loaded.step) {
      bad(manifest_path, "is of step " + std::to_string(loaded.step) + ", the folder's name says " +
                             std::to_string(*step));
    }
  }
  loaded.state = read_json(folder / state_name);
  loaded.tensors = storage::File::read(folder / tensors_name);
  return loaded;
}

std::optional<LoadedCheckpoint> load_newest(const fs::path& directory,
                                            std::vector<std::string>& complaints) {
  const std::vector<std::int64_t> steps = checkpoint_steps(directory);
  std::vector<std::string> reasons;
  for (const std::int64_t step : steps) {
    const std::string name = checkpoint_name(step_prefix, step);
    try {
      LoadedCheckpoint loaded = load_checkpoint(directory / name);
      for (const std::string& reason : reasons) {
        complaints.push_back("checkpoint " + reason + "; " + name + " is used instead");
      }
      return loaded;
    } catch (const Error& error) {
      reasons.push_back(name + " is damaged: " + error.message());
    }
  }
  if (reasons.empty()) return std::nullopt;
  std::string message = "no checkpoint in " + directory.string() + " can be used";
  for (const std::string& reason : reasons) message += "\n  " + reason;
  throw Error(ErrorKind::storage, message,
              "restore one from a backup, or start a new run (the run directory stays as it is)");
}

std::optional<LoadedCheckpoint> load_best(const fs::path& directory) {
  const fs::path link = directory / "best";
  std::error_code error;
  const fs::file_status status = fs::symlink_status(link, error);
  if (!fs::exists(status)) return std::nullopt;
  if (!fs::is_symlink(status)) return load_checkpoint(link);
  const fs::path target = fs::read_symlink(link, error);
  if (error) storage::fail_io("read", link, error.value());
  return load_checkpoint(directory / target.filename());
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& directory) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : storage::folder_names(directory)) {
    if (const auto step = step_of(name, step_prefix)) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

int sweep_checkpoints(const fs::path& directory) {
  std::error_code error;
  const fs::path best = fs::read_symlink(directory / "best", error);
  int count = 0;
  for (const std::string& name : storage::folder_names(directory)) {
    const bool temporary = name.starts_with(storage::temporary_prefix);
    const bool replaced = step_of(name, best_prefix) && name != best.filename().string();
    if (!temporary && !replaced) continue;
    std::error_code ignored;
    fs::remove_all(directory / name, ignored);
    ++count;
  }
  return count;
}

}  // namespace qhost::runs
