/// storage/io_error.h: turns every failed system call into a message.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace qhost::storage {

/// Throws Error (storage): "cannot ACTION PATH: ERROR TEXT"; with `wanted`, the bytes wanted and
/// the bytes free on that file system; and a help line that fits the error. `action` is "write",
/// "read", "create", "rename", ...
[[noreturn]] void fail_io(std::string_view action, const std::filesystem::path& path, int error,
                          std::optional<std::uint64_t> wanted = std::nullopt);

/// The bytes that this user can still write on the file system of `path` (of its nearest existing
/// parent); empty if the file system does not tell.
std::optional<std::uint64_t> free_space(const std::filesystem::path& path);

/// "1234567 bytes (1.2 MiB)"; below 1 KiB without the parentheses.
std::string format_bytes(std::uint64_t bytes);

}  // namespace qhost::storage
