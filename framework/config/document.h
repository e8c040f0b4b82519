/// config/document.h: one TOML text as a tree with places; all of its syntax errors in one pass.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/value.h"

namespace qhost::config {

struct Document {
  Table root;
  /// False if a statement could not be parsed and was left out, or if nothing was read: a key may
  /// then be missing for that reason alone.
  bool complete = false;
};

/// Checks `text` (see guard.h) and parses it; places name the file `name`. A statement with an
/// error is reported and cut out, and the rest is parsed. Errors: those of scan(), config.syntax,
/// config.duplicate-key. A text that qhost wrote may use former names of keys; see renamed.h.
Document parse_document(const std::string& name, std::string_view text, Diagnostics& diagnostics);

/// One part of a dotted key; columns count code points from 1.
struct KeyPart {
  std::string name;
  int column = 0, length = 0;
};
/// Splits `a."b c".1` into three parts; empty if `text` is no TOML key.
std::optional<std::vector<KeyPart>> parse_key(std::string_view text);

/// Parses arguments "a.b=value" into the tree that is merged over an experiment. A value that is
/// not valid TOML is a string, unless it starts like a TOML string, list or table. Index keys
/// ("quantizer.1.bits") become tables with the key "1". Errors: config.bad-override, those of
/// scan().
Document parse_overrides(const std::vector<std::string>& arguments, Diagnostics& diagnostics);

}  // namespace qhost::config
