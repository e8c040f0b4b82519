// The order in which writes become durable, which no kill can show: the bytes of a file are synced
// before the file gets its name, and its folder is synced afterwards.
//
// This file replaces fsync, rename and similar functions; the calls of the linked storage library come here.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "runs/checkpoint.h"
#include "storage/atomic_file.h"
#include "storage/folder.h"
#include "storage/support.h"

namespace qhost::storage {
namespace {

/// The calls since the start of a Recording: "fsync FILE", "rename FROM TO". Temporary names are
/// written as "~".
class Recording {
 public:
  explicit Recording(const std::filesystem::path& folder) : folder_(folder.string()) {
    current = this;
  }
  ~Recording() { current = nullptr; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  const std::vector<std::string>& calls() const { return calls_; }
  static void add(const std::string& call, const std::vector<std::string>& paths) {
    if (current == nullptr) return;
    std::string text = call;
    for (const std::string& path : paths) text += " " + current->shown(path);
    current->calls_.push_back(text);
  }

 private:
  std::string shown(std::string path) const {
    if (path == folder_) return ".";
    if (path.starts_with(folder_ + "/")) path = path.substr(folder_.size() + 1);
    const std::size_t begin = path.find(temporary_prefix);
    if (begin == std::string::npos) return path;
    const std::size_t end = std::min(path.find('/', begin), path.size());
    return path.substr(0, begin) + "~" + path.substr(end);
  }
  static inline Recording* current = nullptr;
  std::string folder_;
  std::vector<std::string> calls_;
};

std::string path_of(int fd) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string();
}

/// The C library's function.
template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace qhost::storage

extern "C" int fsync(int fd) {
  using qhost::storage::next;
  qhost::storage::Recording::add("fsync", {qhost::storage::path_of(fd)});
  return next<int (*)(int)>("fsync")(fd);
}

extern "C" int fdatasync(int fd) {
  using qhost::storage::next;
  qhost::storage::Recording::add("fdatasync", {qhost::storage::path_of(fd)});
  return next<int (*)(int)>("fdatasync")(fd);
}

extern "C" int rename(const char* from, const char* to) noexcept {
  using qhost::storage::next;
  qhost::storage::Recording::add("rename", {from, to});
  return next<int (*)(const char*, const char*)>("rename")(from, to);
}

extern "C" int renameat2(int old_folder, const char* from, int new_folder, const char* to,
                         unsigned int flags) noexcept {
  using qhost::storage::next;
  qhost::storage::Recording::add("rename", {from, to});
  return next<int (*)(int, const char*, int, const char*, unsigned int)>("renameat2")(
      old_folder, from, new_folder, to, flags);
}

namespace qhost::storage {
namespace {

using ::testing::ElementsAre;

TEST(Durability, AFileIsSyncedBeforeItsNameAndItsFolderAfter) {
  const TestFolder folder;
  for (int time = 0; time < 2; ++time) {  // first a new file, then an existing one
    const Recording recording(folder.path());
    write_file_atomically(folder / "a", "bytes");
    EXPECT_THAT(recording.calls(), ElementsAre("fsync ~", "rename ~ a", "fsync ."));
  }
}

TEST(Durability, ALinkIsSyncedWithItsFolder) {
  const TestFolder folder;
  const Recording recording(folder.path());
  point_link(folder / "latest", "run-1", "link");
  EXPECT_THAT(recording.calls(), ElementsAre("rename ~ latest", "fsync ."));
}

TEST(Durability, ACheckpointIsSyncedAsAWholeBeforeItsName) {
  const TestFolder folder;
  std::filesystem::create_directory(folder / "checkpoints");
  const float value = 1;
  Tensors tensors;
  tensors["w"] = {.dtype = "F32",
                  .shape = {1},
                  .data = reinterpret_cast<const std::byte*>(&value),
                  .bytes = sizeof value};
  const Recording recording(folder / "checkpoints");
  runs::write_checkpoint(folder / "checkpoints", 7, tensors, nlohmann::json::object());
  const std::vector<std::string>& calls = recording.calls();
  const auto at = [&](const std::string& call) {
    const auto found = std::find(calls.begin(), calls.end(), call);
    EXPECT_NE(found, calls.end()) << call << " in " << ::testing::PrintToString(calls);
    return found - calls.begin();
  };
  const auto named = at("rename ~ step-00000007");
  // The three files, then the folder with their names, then the folder's own name, then its parent.
  std::ptrdiff_t files = 0;
  for (std::ptrdiff_t i = 0; i < named; ++i) {
    const std::string& call = calls[static_cast<std::size_t>(i)];
    if (call.starts_with("fsync ~/")) ++files;
  }
  EXPECT_EQ(files, 3) << ::testing::PrintToString(calls);
  EXPECT_EQ(at("fsync ~"), named - 1) << ::testing::PrintToString(calls);
  EXPECT_EQ(at("fsync ."), named + 1) << ::testing::PrintToString(calls);
}

}  // namespace
}  // namespace qhost::storage
