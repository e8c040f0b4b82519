/// storage/safetensors_header.h: the checks of a safetensors header; used inside this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/safetensors.h"

namespace qhost::storage {

/// One entry of the header, checked: [begin, end) lies in the data and has the size of its shape.
struct HeaderEntry {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

struct Header {
  std::map<std::string, HeaderEntry> entries;
  Metadata metadata;
};

/// Throws Error (storage) for a refused container; all such errors have this form. `offset` counts
/// from the start of the file.
///     FILE: WHAT
///       at byte OFFSET: found FOUND; allowed: ALLOWED
///     help: ...
[[noreturn]] void refuse(const std::string& file, const std::string& what, std::uint64_t offset,
                         const std::string& found, const std::string& allowed);

/// Check 1: the header length N, from the first bytes of the file (at most 8 are read).
std::uint64_t checked_header_length(std::string_view first, std::uint64_t file_bytes,
                                    const std::string& file, const Limits& limits);

/// Checks 2 to 8 on the N header bytes of a file of `file_bytes` bytes.
Header parse_header(std::string_view json, std::uint64_t file_bytes, const std::string& file,
                    const Limits& limits);

}  // namespace qhost::storage
