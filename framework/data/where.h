/// data/where.h: the sets that are on this machine, and how to get the others.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace qhost::data {

enum class SetState {
  embedded,  ///< inside qhost
  present,   ///< every file exists; uncompressed files have their published size
  damaged,   ///< the folder exists; a file is missing or has another size
  missing
};
const char* to_string(SetState state);

/// A line of `qhost data list`.
struct SetStatus {
  std::string name, summary, source, license;
  SetState state = SetState::missing;
  std::filesystem::path folder;                 ///< empty when embedded or missing
  std::int64_t bytes = 0;                       ///< of the existing files of the set
  std::string problem;                          ///< the problem of a damaged set, or ""
  std::string how_to_get;                       ///< "" when embedded or present
  std::vector<std::filesystem::path> searched;  ///< in order; empty when embedded
};

/// Checks names and sizes only. `root` is that of `[data] root`; "" searches the usual places.
std::vector<SetStatus> where(const std::string& root = "");

}  // namespace qhost::data
