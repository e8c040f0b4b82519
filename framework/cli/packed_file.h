/// cli/packed_file.h: the argument FILE of commands on packed networks.
#pragma once

#include <filesystem>

#include "packed/program.h"

namespace qhost::cli {

/// What users name instead, a run, an experiment or other weights, is answered with the command that
/// makes a packed network of it: throws Error (configuration), or as packed::read_program() does.
packed::Program read_packed_file(const std::filesystem::path& file);

}  // namespace qhost::cli
