/// storage/environment.h: the facts of environment.json, which help to explain a result.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace qhost::storage {

struct EnvironmentInput {
  std::string torch_version;              ///< of the loaded LibTorch; empty is written as null
  std::vector<std::string> command_line;  ///< argv
  /// The experiment's folder: its git commit is recorded.
  std::filesystem::path experiment_folder;
  std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
};

/// {qhost, commit, libtorch, started, command_line, working_directory, host, os, kernel, libc,
/// compiler, cpu: {model, cores, usable_cores, quota, flags}, memory_bytes, git}. `quota` is the
/// container's limit in cores. A fact that cannot be determined is null. The caller adds what it
/// knows (threads, plugin hashes).
nlohmann::json environment_facts(const EnvironmentInput& input);

/// {root, commit, branch, dirty}; null without git, outside a work tree, before the first commit,
/// or if git does not answer within 5 s. `branch` is null for a detached head; `dirty` considers
/// tracked files only.
nlohmann::json git_state(const std::filesystem::path& folder);

/// The value of `cpu` above: {model, cores, usable_cores, quota, flags}.
nlohmann::json cpu_facts();

std::string host_name();

}  // namespace qhost::storage
