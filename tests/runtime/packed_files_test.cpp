// The inputs that tools/fuzz kept: bytes that reach different places of the reader and the engine. Each
// is refused with an error, or runs, on every kind of kernels.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "fuzz/run_packed_bytes.h"

namespace qhost::tests {
namespace {

TEST(PackedFiles, AreRefusedOrRun) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(QHOST_SOURCE_DIR "/tests/runtime/packed_files")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::map<Outcome, int> outcomes;
  for (const std::filesystem::path& path : files) {
    SCOPED_TRACE(path.filename().string());
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_NO_THROW(++outcomes[run_packed_bytes(bytes)]);
  }
  EXPECT_GT(outcomes[Outcome::refused], 10);
  EXPECT_GT(outcomes[Outcome::ran], 10);
}

}  // namespace
}  // namespace qhost::tests
