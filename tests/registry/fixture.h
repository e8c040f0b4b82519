// tests/registry/fixture.h: a private folder of plugin files, some of them damaged on purpose.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace qhost::tests {

namespace fs = std::filesystem;

inline fs::path built_plugin(const std::string& name) {
  return fs::path(QHOST_BROKEN_PLUGINS_DIR) / (name + ".so");
}

inline std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A new folder of mode 0700 for each test. Files are never overwritten, since an open library must
/// not change under the loader.
class PluginFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "qhost-plugins-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = fs::canonical(pattern);
  }
  void TearDown() override {
    std::error_code error;
    fs::remove_all(folder, error);
  }

  fs::path write(const std::string& file_name, const std::string& bytes) const {
    const fs::path file = folder / file_name;
    if (fs::exists(file)) throw std::runtime_error(file.string() + " exists");
    std::ofstream(file, std::ios::binary) << bytes;
    fs::permissions(file, fs::perms(0755));
    return file;
  }

  fs::path copy(const std::string& name) const { return copy(name, name); }
  fs::path copy(const std::string& name, const std::string& new_name) const {
    return write(new_name + ".so", read_bytes(built_plugin(name)));
  }

  /// A copy in which every `from` is replaced by `to`, which has the same length.
  fs::path patched(const std::string& name, const std::string& from, const std::string& to) const {
    std::string bytes = read_bytes(built_plugin(name));
    if (from.size() != to.size()) throw std::runtime_error("lengths differ: " + from + ", " + to);
    std::size_t count = 0;
    for (std::size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; ++count) {
      bytes.replace(at, from.size(), to);
      at += to.size();
    }
    if (count == 0) throw std::runtime_error("no \"" + from + "\" in " + name);
    return write(name + ".so", bytes);
  }

  fs::path folder;
};

/// The exception's text; "" with a test failure if no exception of type E is thrown.
template <class E, class Function>
std::string text_of(Function&& function) {
  try {
    function();
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

}  // namespace qhost::tests
