/// packed/program_file.h: a program as one safetensors file. docs/packed-format.md has every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "graph/inference_graph_json.h"
#include "packed/program.h"

namespace qhost::packed {

/// The newest format version, which this build writes. It reads all up to this one.
inline constexpr int format_version = 2;

/// The file's bytes: equal programs give equal bytes. Throws Error (internal) for a program that is
/// not sound.
std::string to_bytes(const Program& program);
/// Of to_bytes(): the size of the data section, which is all that lowering stores.
std::int64_t data_bytes(const Program& program);
/// Codes, scales, zero points and tables of the weights alone.
std::int64_t weight_bytes(const Program& program);

/// Throws Error (storage) with `name`, the place and both values for bytes that are no such file, of
/// a newer version (with both versions), damaged, or not sound.
Program from_bytes(std::string_view bytes, const std::string& name);
Program read_program(const std::filesystem::path& file);

}  // namespace qhost::packed
