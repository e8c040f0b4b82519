/// data/published_set.h: a set that lies in a folder as its authors published it: where to look for
/// it, and what to say when it is not there.
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
  bool gzip = false;  ///< NAME.gz, of any size, does as well
  std::string md5;    ///< of NAME.gz as published, where the files are published one by one
};

struct PublishedSet {
  std::string folder;   ///< the name that the archive unpacks to
  std::string archive;  ///< its file name; "" when the files are published one by one, as NAME.gz
  std::string url;      ///< of the archive, or of the folder that the files are in
  std::string md5;      ///< of the archive
  std::vector<PublishedFile> files;
  std::string package = {};                   ///< Debian's package of the set, "" without one
  std::filesystem::path package_folder = {};  ///< where it puts `folder`
};

/// The folders that are tried for `root` (see the option `root`): with a root, ROOT/folder and
/// ROOT; without, the same two of $QHOST_DATA, ./data, $XDG_DATA_HOME/qhost/data or, without that
/// variable, ~/.local/share/qhost/data, and package_folder.
std::vector<std::filesystem::path> search_path(const PublishedSet& set, const std::string& root);

/// The first of them that holds at least one of the set's files; a folder of the published name
/// counts even when it is empty.
std::optional<std::filesystem::path> find_folder(const PublishedSet& set, const std::string& root);

/// "download URL (MD5 ...), unpack it: mkdir -p ... && tar ...", for the user's own data folder or
/// root; without an archive the package and the single files.
std::string how_to_get(const PublishedSet& set, const std::string& root);

/// The folder, or Error of kind data: where `name` was looked for, and how to get it.
std::filesystem::path require_folder(const std::string& name, const PublishedSet& set,
                                     const std::string& root);

/// Where the file lies in `folder`: NAME, or NAME.gz where only that is there and will do.
std::filesystem::path file_path(const std::filesystem::path& folder, const PublishedFile& file);

/// "" when `folder`/`file` is a regular file of the published size, or NAME.gz where that will do,
/// else what is wrong with it: "data_batch_2.bin has 932 bytes, not 30730000".
std::string file_problem(const std::filesystem::path& folder, const PublishedFile& file);

}  // namespace qhost::data
