#include "data/published_set.h"

#include <cstdlib>
#include <system_error>

#include "common/user_folders.h"
#include "qhost/error.h"

namespace qhost::data {
namespace fs = std::filesystem;
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// Where the user's own data sets lie; empty without a home.
fs::path user_data_sets() {
  const fs::path own = user_data_folder();
  return own.empty() ? own : own / "qhost" / "data";
}

std::vector<fs::path> bases(const PublishedSet& set, const std::string& root) {
  if (!root.empty()) return {root};
  std::vector<fs::path> out;
  if (const std::string given = variable("QHOST_DATA"); !given.empty()) out.emplace_back(given);
  out.emplace_back("data");
  if (const fs::path own = user_data_sets(); !own.empty()) out.push_back(own);
  if (!set.package_folder.empty()) out.push_back(set.package_folder);
  return out;
}

bool holds(const fs::path& folder, const PublishedSet& set) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return false;
  if (folder.filename() == set.folder) return true;
  for (const PublishedFile& file : set.files) {
    // The folder of another set may contain a file of the same generic name ("train.bin"), so the
    // size decides.
    const auto size = fs::file_size(folder / file.name, ignored);
    if (!ignored && size == static_cast<std::uintmax_t>(file.bytes)) return true;
    if (file.gzip && fs::is_regular_file(folder / (file.name + ".gz"), ignored)) return true;
  }
  return false;
}

std::string how_to_get_files(const PublishedSet& set, const std::string& root,
                             const std::string& target) {
  std::string text;
  if (!set.package.empty()) {
    text = "install Debian's package " + set.package + " (apt-get install " + set.package + ")" +
           (root.empty() ? "" : " and leave data.root out") + ", or ";
  }
  text += "download these files of " + set.url + " into '" + target + "/" + set.folder + "':";
  for (const PublishedFile& file : set.files) {
    text += (&file == &set.files.front() ? " " : ", ") + file.name + ".gz (MD5 " + file.md5 + ")";
  }
  return text;
}

/// "" if neither the archive nor the Python version of the set is there.
std::string command_left(const PublishedSet& set, const std::string& root) {
  std::error_code ignored;
  for (const fs::path& base : bases(set, root)) {
    if (!set.archive.empty() && fs::is_regular_file(base / set.archive, ignored)) {
      return "unpack the archive that lies there: tar -xzf '" + (base / set.archive).string() +
             "' -C '" + base.string() + "'";
    }
    if (set.python_folder.empty()) continue;
    const bool inside = base.filename() == set.python_folder;
    const fs::path folder = inside ? base : base / set.python_folder;
    if (!fs::is_directory(folder, ignored)) continue;
    const fs::path target = inside ? base.parent_path() : base;
    return "it lies there as Python tools keep it: tools/import_cifar.py '" + folder.string() +
           "' '" + target.string() + "' writes the files that qhost reads" +
           (inside ? ", for data.root=" + target.string() : "");
  }
  return "";
}

}  // namespace

std::vector<fs::path> search_path(const PublishedSet& set, const std::string& root) {
  std::vector<fs::path> out;
  for (const fs::path& base : bases(set, root)) {
    out.push_back(base / set.folder);
    out.push_back(base);
  }
  return out;
}

std::optional<fs::path> find_folder(const PublishedSet& set, const std::string& root) {
  for (const fs::path& folder : search_path(set, root)) {
    if (holds(folder, set)) return folder;
  }
  return std::nullopt;
}

std::string how_to_get(const PublishedSet& set, const std::string& root) {
  if (std::string command = command_left(set, root); !command.empty()) return command;
  const fs::path own = root.empty() ? user_data_sets() : fs::path(root);
  const std::string target = own.empty() ? "data" : own.string();
  if (set.archive.empty()) return how_to_get_files(set, root, target);
  return "download " + set.url + " (MD5 " + set.md5 + ") and unpack it: mkdir -p '" + target +
         "' && tar -xzf " + set.archive + " -C '" + target + "'";
}

fs::path require_folder(const std::string& name, const PublishedSet& set, const std::string& root) {
  if (const auto folder = find_folder(set, root)) return *folder;
  std::string message = name + ": the data set is not on this machine; its folder " + set.folder +
                        " was looked for in";
  for (const fs::path& base : bases(set, root)) {
    message += "\n  " + base.string();
    std::error_code error;
    if (fs::is_directory(base, error)) continue;
    const bool absent = !error || error == std::errc::no_such_file_or_directory;
    message += absent ? std::string(" (no folder)") : " (" + error.message() + ")";
  }
  Error error(ErrorKind::data, message, how_to_get(set, root));
  error.add_help("or name its place with data.root=FOLDER or QHOST_DATA");
  throw error;
}

fs::path file_path(const fs::path& folder, const PublishedFile& file) {
  const fs::path plain = folder / file.name, packed = folder / (file.name + ".gz");
  std::error_code ignored;
  return file.gzip && !fs::exists(plain, ignored) && fs::exists(packed, ignored) ? packed : plain;
}

std::string file_problem(const fs::path& folder, const PublishedFile& file) {
  const fs::path path = file_path(folder, file);
  const std::string name = path.filename().string();
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return file.name + (file.gzip ? " is missing, also as .gz" : " is missing");
  }
  if (error) return name + " cannot be read: " + error.message();
  // A pipe would block the reader, and a folder has no size.
  if (!fs::is_regular_file(status)) return name + " is not a regular file";
  const auto size = fs::file_size(path, error);
  if (error) return name + " cannot be read: " + error.message();
  if (name != file.name) return size > 0 ? "" : name + " is empty";
  if (size != static_cast<std::uintmax_t>(file.bytes)) {
    return file.name + " has " + std::to_string(size) + " bytes, not " + std::to_string(file.bytes);
  }
  return "";
}

}  // namespace qhost::data
