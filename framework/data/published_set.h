/// data/published_set.h: finds a set whose files lie in a folder as its authors published them, and
/// explains how to get a missing one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qhost::data {

struct PublishedFile {
  std::string name;
  std::int64_t bytes = 0;
  bool gzip = false;  ///< NAME.gz of any size is accepted too
  std::string md5;    ///< of the published NAME.gz, if the files are published one by one
};

struct PublishedSet {
  std::string folder;   ///< the folder that the archive contains
  std::string archive;  ///< file name of the archive; "" if the files are published one by one, as
                        ///< NAME.gz
  std::string url;      ///< of the archive, or of the folder of the files
  std::string md5;      ///< of the archive
  std::vector<PublishedFile> files;
  std::string package = {};                   ///< the Debian package of the set, or ""
  std::filesystem::path package_folder = {};  ///< the place where it installs `folder`
  std::string python_folder = {};             ///< the same set as Python tools keep it; or ""
};

/// The folders that are searched for `root` (see the option `root`). With a root: ROOT/folder and
/// ROOT. Without: the same two of $QHOST_DATA, ./data, $XDG_DATA_HOME/qhost/data (without that
/// variable, ~/.local/share/qhost/data), and package_folder.
std::vector<std::filesystem::path> search_path(const PublishedSet& set, const std::string& root);

/// The first of them that contains at least one of the set's files. A folder of the published name
/// counts even if it is empty.
std::optional<std::filesystem::path> find_folder(const PublishedSet& set, const std::string& root);

/// "download URL (MD5 ...), unpack it: mkdir -p ... && tar ...", for the user's data folder or
/// root. Without an archive, it names the package and the single files. Where the archive, or the
/// set as Python tools keep it, lies in a searched folder: the one command that is left.
std::string how_to_get(const PublishedSet& set, const std::string& root);

/// The folder. Throws Error (data) that says where `name` was searched and how to get it.
std::filesystem::path require_folder(const std::string& name, const PublishedSet& set,
                                     const std::string& root);

/// The path of the file in `folder`: NAME, or NAME.gz if only that exists and is accepted.
std::filesystem::path file_path(const std::filesystem::path& folder, const PublishedFile& file);

/// "" if `folder`/`file` is a regular file of the published size, or an accepted NAME.gz; else the
/// problem: "data_batch_2.bin has 932 bytes, not 30730000".
std::string file_problem(const std::filesystem::path& folder, const PublishedFile& file);

}  // namespace qhost::data
