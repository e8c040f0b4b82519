/// Shared by the tests of framework/data and of the code that works on its images.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/cifar.h"
#include "data/dataset.h"
#include "qhost/error.h"
#include "qhost/options.h"

namespace qhost::data::testing {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Runs `action` and expects an Error of `kind` whose text contains all `parts`.
inline void expect_error(ErrorKind kind, const std::vector<std::string>& parts,
                         const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown; expected: " << ::testing::PrintToString(parts);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

/// The same for an OptionError about the option `name`.
inline void expect_option_error(const std::string& name, const std::vector<std::string>& parts,
                                const std::function<void()>& action) {
  expect_error(ErrorKind::configuration, parts, [&] {
    try {
      action();
    } catch (const OptionError& error) {
      EXPECT_EQ(error.option(), name);
      throw;
    } catch (const Error&) {
      ADD_FAILURE() << "it is about no option, expected: " << name;
      throw;
    }
  });
}

/// A new empty folder, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "qhost_data_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// Sets or (nullopt) unsets an environment variable until the end of the scope.
class Variable {
 public:
  Variable(const char* name, std::optional<std::string> value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    put(value);
  }
  ~Variable() { put(old_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void put(const std::optional<std::string>& value) {
    if (value) {
      setenv(name_, value->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  const char* name_;
  std::optional<std::string> old_;
};

inline void write_file(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// Overwrites one byte of a file.
inline void poke(const fs::path& path, std::int64_t offset, int value) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offset);
  file.put(static_cast<char>(value));
}

/// Records whose pixel p of record r is (7 r + p) mod 256 and whose label bytes are r modulo the
/// number of classes.
inline std::string records(const CifarLayout& layout, std::int64_t count) {
  std::string out;
  for (std::int64_t r = 0; r < count; ++r) {
    for (const CifarLabel& label : layout.labels) out += static_cast<char>(r % label.classes);
    for (std::int64_t p = 0; p < 3072; ++p) out += static_cast<char>((7 * r + p) % 256);
  }
  return out;
}

/// A complete CIFAR-10 in `folder`: sparse files of 184 MB, all bytes 0.
inline void make_sparse_cifar10(const fs::path& folder) {
  fs::create_directories(folder);
  for (const PublishedFile& file : cifar10_files().files) {
    write_file(folder / file.name, "");
    fs::resize_file(folder / file.name, static_cast<std::uintmax_t>(file.bytes));
  }
}

/// A complete CIFAR-100 in `folder`, also sparse.
inline void make_sparse_cifar100(const fs::path& folder) {
  fs::create_directories(folder);
  for (const PublishedFile& file : cifar100_files().files) {
    write_file(folder / file.name, "");
    fs::resize_file(folder / file.name, static_cast<std::uintmax_t>(file.bytes));
  }
}

/// The folder of the project's real test data; empty if there is none.
inline fs::path test_data() {
  const char* given = std::getenv("QHOST_TEST_DATA");
  const fs::path path =
      given != nullptr ? fs::path(given) : fs::path(QHOST_SOURCE_DIR "/../shared/data");
  return fs::exists(path) ? path : fs::path();
}

/// Skips the test if the file of the real data is missing.
#define QHOST_NEED_DATA(variable, file)                                                      \
  const std::filesystem::path variable = ::qhost::data::testing::test_data() / (file);       \
  if (::qhost::data::testing::test_data().empty() || !std::filesystem::exists(variable)) {   \
    GTEST_SKIP() << "no " << (file) << ": name the folder that holds it in QHOST_TEST_DATA"; \
  }

inline Options options_of(const std::string& set, const std::map<std::string, OptionValue>& given) {
  return Options::from(find_dataset(set)->options, given);
}

inline Dataset load(const std::string& set, const std::map<std::string, OptionValue>& given = {}) {
  return find_dataset(set)->load(options_of(set, given));
}

}  // namespace qhost::data::testing
