/// storage/folder.h: what the files of this folder need to know about folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qhost::storage {

/// The names in a folder, sorted; a missing or unreadable one has none.
std::vector<std::string> folder_names(const std::filesystem::path& folder);

/// Creates `folder` (its parent exists). Throws Error (storage).
void make_folder(const std::filesystem::path& folder);

/// Renames a folder where nothing has the new name. False when something has; other failures throw.
bool rename_to_new(const std::filesystem::path& from, const std::filesystem::path& to);

/// Renames a folder over another, or to a new name, so that there is no moment without one of the
/// two (where the file system can swap names; else a short one). The old one is deleted.
void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to);

/// Makes a folder invisible with one rename, then deletes it: a reader sees it whole or not at all.
/// Never throws: what is left over has a temporary name, and a sweep finds it.
void retire_folder(const std::filesystem::path& folder) noexcept;

/// Points the symbolic link `link` at `target` (relative to the link's folder), atomically.
/// `failpoint_name` as in failpoint.h.
void point_link(const std::filesystem::path& link, const std::string& target,
                const std::string& failpoint_name);

}  // namespace qhost::storage
