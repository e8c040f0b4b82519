/// storage/io_error.h: the one place where a failed system call becomes a message.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace qhost::storage {

/// Throws Error (storage): "cannot ACTION PATH: ERROR TEXT", the bytes wanted and the bytes free on
/// that file system where `wanted` is given, and a help line that fits the error.
/// `action` is "write", "read", "create", "rename", ...
[[noreturn]] void fail_io(std::string_view action, const std::filesystem::path& path, int error,
                          std::optional<std::uint64_t> wanted = std::nullopt);

/// Bytes that this user may still write on the file system of `path` (its nearest existing parent);
/// empty when the file system does not tell.
std::optional<std::uint64_t> free_space(const std::filesystem::path& path);

/// "1234567 bytes (1.2 MiB)"; below 1 KiB without the brackets.
std::string format_bytes(std::uint64_t bytes);

}  // namespace qhost::storage
