/// config/extends.h: a file and the files that it extends as one tree.
#pragma once

#include <filesystem>

#include "config/document.h"

namespace qhost::config {

/// Reads `file`; the files named by its `extends` come first, in their order, each laid over the
/// one before (see merge.h), the file itself last. Paths are relative to the file that names them.
/// Errors: those of reading and parsing, config.extends-cycle, config.extends-depth; a missing file
/// is reported at the `extends` that names it.
Document load_document(const std::filesystem::path& file, Diagnostics& diagnostics);

}  // namespace qhost::config
