/// storage/process.h: runs a short command for its output; used inside this folder.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace qhost::storage {

/// The standard output of a command found in PATH (no shell; its input and errors are /dev/null).
/// Empty if it does not start, fails, prints more than 16 MiB, or takes longer than `limit` and is
/// killed.
std::optional<std::string> output_of(const std::vector<std::string>& command,
                                     std::chrono::milliseconds limit);

}  // namespace qhost::storage
