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
  /// False when a statement could not be understood and was left out, or nothing was read: then a
  /// key may be missing for that reason alone.
  bool complete = false;
};

/// Guards (see guard.h), then parses `text`; places name the file `name`. A statement with an error
/// is reported and cut out, the rest is read on. Errors: those of scan(), config.syntax,
/// config.duplicate-key. A text that qhost wrote may use former names of keys; see renamed.h.
Document parse_document(const std::string& name, std::string_view text, Diagnostics& diagnostics);

/// One part of a dotted key; columns count code points from 1.
struct KeyPart {
  std::string name;
  int column = 0, length = 0;
};
/// `a."b c".1` -> three parts; nothing when `text` is no TOML key.
std::optional<std::vector<KeyPart>> parse_key(std::string_view text);

/// Arguments "a.b=value": the tree that is laid over an experiment. A value that is no TOML is a
/// string, unless it starts like a TOML string, list or table. Index keys ("quantizer.1.bits")
/// become tables with the key "1". Errors: config.bad-override, those of scan().
Document parse_overrides(const std::vector<std::string>& arguments, Diagnostics& diagnostics);

}  // namespace qhost::config
