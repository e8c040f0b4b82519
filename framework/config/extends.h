/// config/extends.h: merges a file with the files that it extends.
#pragma once

#include <filesystem>

#include "config/document.h"

namespace qhost::config {

/// Reads `file` and the files named by its `extends`. Those come first, in their order; each is
/// merged over the one before (see merge.h), and the file itself comes last. Paths are relative to
/// the file that names them. Errors: those of reading and parsing, config.extends-cycle,
/// config.extends-depth. A missing file is reported at the `extends` that names it.
Document load_document(const std::filesystem::path& file, Diagnostics& diagnostics);

}  // namespace qhost::config
