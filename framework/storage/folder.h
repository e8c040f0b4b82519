/// storage/folder.h: operations on folders; used inside this folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qhost::storage {

/// The names in a folder, sorted; empty for a missing or unreadable folder.
std::vector<std::string> folder_names(const std::filesystem::path& folder);

/// Creates `folder`, whose parent must exist. Throws Error (storage).
void make_folder(const std::filesystem::path& folder);

/// Renames a folder if nothing has the new name, else returns false; other failures throw.
bool rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to);

/// Renames a folder over another, or to a new name, and deletes the old one. If the file system can
/// swap names, one of the two exists at every moment; else there is a short gap.
void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to);

/// Hides a folder with one rename, then deletes it: a reader sees all of it or nothing. Never
/// throws: what is left has a temporary name, and a sweep removes it.
void retire_folder(const std::filesystem::path& folder) noexcept;

/// Points the symbolic link `link` at `target` (relative to the link's folder), atomically.
/// `failpoint_name` is the P of failpoint.h.
void point_link(const std::filesystem::path& link, const std::string& target,
                const std::string& failpoint_name);

}  // namespace qhost::storage
