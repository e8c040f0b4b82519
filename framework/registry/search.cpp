#include "registry/search.h"

#include <dlfcn.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "common/user_folders.h"
#include "qhost/error.h"
#include "qhost/graph.h"
#include "registry/refusal.h"
#include "registry/stamp.h"

namespace qhost {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Plugins of the user are found without $HOME, too.
fs::path data_folder() {
  if (const fs::path given = user_data_folder(); !given.empty()) return given;
  const passwd* entry = ::getpwuid(::geteuid());
  const fs::path home = entry == nullptr || entry->pw_dir == nullptr ? "" : entry->pw_dir;
  return home / ".local" / "share";
}

SearchDirectory given_directory(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (path.empty() || !fs::is_directory(absolute, error)) {
    const bool file = !path.empty() && fs::exists(absolute, error);
    throw Error(ErrorKind::configuration,
                "--plugin-path \"" + path.string() +
                    "\": " + (file ? "is not a directory" : "there is no such directory"),
                "give the folder that holds the plugin's .so file");
  }
  return {absolute, "--plugin-path", true, ""};
}

SearchDirectory environment_directory(const fs::path& path, const std::string& origin) {
  SearchDirectory directory{path, origin, false, ""};
  if (!path.is_absolute()) {
    directory.ignored = "it is relative, and the working directory is never searched";
    return directory;
  }
  std::error_code error;
  directory.path = path.lexically_normal();
  directory.exists = fs::is_directory(directory.path, error);
  return directory;
}

SearchDirectory user_directory() {
  return environment_directory(data_folder() / "qhost" / "plugins", "user folder");
}

fs::path installed_plugins() {
  return core_directory() / "qhost" / "plugins";
}

std::string user_name(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry != nullptr ? entry->pw_name : "user " + std::to_string(user);
}

/// The owner of the running program, who controls the plugins of the installation anyway.
uid_t program_owner() {
  struct stat status {};
  return ::stat("/proc/self/exe", &status) == 0 ? status.st_uid : 0;
}

void judge_one(const fs::path& path, const char* what, Trust& trust) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return;  // reading the file gives the clearer error
  const uid_t owner = status.st_uid;
  if (owner != 0 && owner != ::geteuid() && owner != program_owner()) {
    trust.refusals.push_back(std::string(what) + " " + path.string() + " belongs to " +
                             user_name(owner) +
                             "; its owner must be root, you, or the owner of qhost");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    trust.refusals.push_back(std::string(what) + " " + path.string() +
                             " can be written by every user (chmod o-w " + path.string() + ")");
  } else if ((status.st_mode & S_IWGRP) != 0) {
    trust.warnings.push_back(std::string(what) + " " + path.string() +
                             " can be written by its group (chmod g-w " + path.string() + ")");
  }
}

}  // namespace

fs::path core_directory() {
  Dl_info info{};
  std::error_code error;
  const char* (*core)(Op) = &to_string;  // any function of libqhost_core.so
  if (::dladdr(reinterpret_cast<const void*>(core), &info) != 0 && info.dli_fname != nullptr) {
    // The file name as the loader found it; with a statically linked core, that of the program.
    const fs::path file = fs::canonical(info.dli_fname, error);
    if (!error) return file.parent_path();
  }
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

bool is_installed(const fs::path& file) {
  std::error_code error;
  return fs::equivalent(file.parent_path(), installed_plugins(), error);
}

std::vector<SearchDirectory> search_directories(const SearchOptions& options) {
  std::vector<SearchDirectory> found;
  for (const fs::path& path : options.plugin_paths) found.push_back(given_directory(path));
  if (options.default_paths) {
    const std::string list = environment("QHOST_PLUGIN_PATH");
    for (std::size_t begin = 0; begin < list.size();) {
      const std::size_t end = std::min(list.find(':', begin), list.size());
      // Elsewhere an empty entry means the working directory; here it is ignored.
      if (end > begin) {
        found.push_back(
            environment_directory(list.substr(begin, end - begin), "QHOST_PLUGIN_PATH"));
      }
      begin = end + 1;
    }
    found.push_back(user_directory());
    found.push_back(environment_directory(installed_plugins(), "installation"));
  }
  // A folder that is named twice counts at its first place.
  std::vector<SearchDirectory> unique;
  for (SearchDirectory& directory : found) {
    const bool seen =
        std::any_of(unique.begin(), unique.end(), [&](const SearchDirectory& earlier) {
          std::error_code error;
          return directory.exists && earlier.exists &&
                 fs::equivalent(directory.path, earlier.path, error);
        });
    if (!seen) unique.push_back(std::move(directory));
  }
  return unique;
}

std::vector<fs::path> plugin_files(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> files;
  fs::directory_iterator entry(directory, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".so") files.push_back(entry->path());
  }
  if (error) {
    throw PluginRefusal(directory, "the folder cannot be read: " + error.message(),
                        "check its permissions, or take it off the path");
  }
  std::sort(files.begin(), files.end());
  return files;
}

Trust judge(const fs::path& file) {
  Trust trust;
  judge_one(file.parent_path(), "the folder", trust);
  judge_one(file, "the file", trust);
  std::error_code error;
  const fs::path target = fs::canonical(file, error);
  if (!error && target.parent_path() != file.parent_path()) {
    judge_one(target.parent_path(), "the folder", trust);
  }
  return trust;
}

}  // namespace qhost
