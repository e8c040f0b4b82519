/// storage/process.h: the output of a short command; used inside this folder.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace qhost::storage {

/// Standard output of a command found in PATH (no shell; its input and errors go to /dev/null).
/// Empty when it does not start, fails, prints more than 16 MiB or takes longer than `limit`, after
/// which it is killed.
std::optional<std::string> output_of(const std::vector<std::string>& command,
                                     std::chrono::milliseconds limit);

}  // namespace qhost::storage
