// Errors of qhost_add_plugin() and QHOST_PLUGIN() at build time. Needs no LibTorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace qhost::tests {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PluginMacro : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "qhost-macro-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    std::error_code error;
    fs::remove_all(folder_, error);
  }

  /// Status and output of a shell command.
  static std::pair<int, std::string> run(const std::string& command) {
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
    std::string output;
    char text[4096];
    while (const std::size_t got = std::fread(text, 1, sizeof text, pipe)) output.append(text, got);
    const int status = ::pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
  }

  /// Compiles a plugin that includes only qhost/plugin.h.
  std::pair<int, std::string> compile(const std::string& use, const std::string& name,
                                      const std::string& options = "") const {
    const fs::path file = folder_ / "plugin.cpp";
    std::ofstream(file) << "#include \"qhost/plugin.h\"\n" << use << " {}\n";
    return run(
        QHOST_CXX
        " -std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -I " QHOST_SOURCE_DIR
        "/sdk/include -DQHOST_TORCH_MAJOR=2 -DQHOST_TORCH_MINOR=15 "
        "-DQHOST_TORCH_PATCH=0 -DQHOST_PLUGIN_VERSION='\"1.0.0\"' "
        "-DQHOST_PLUGIN_PROVIDES='\"quantizer:bwn\"' "
        "-DQHOST_PLUGIN_BUILD_TYPE='\"Release\"' -DQHOST_PLUGIN_SDK='\"0.1.0\"' "
        "-DQHOST_PLUGIN_NAME='\"" +
        name + "\"' " + options + " " + file.string());
  }

  /// Calls qhost_add_plugin() outside of a project: it fails before it creates a target.
  std::string add_plugin(const std::string& arguments) const {
    const fs::path file = folder_ / "script.cmake";
    std::ofstream(file) << "include(" QHOST_SOURCE_DIR "/sdk/cmake/QhostPlugin.cmake)\n"
                        << "qhost_add_plugin(" << arguments << ")\n";
    const auto [status, output] = run(CMAKE " -P " + file.string());
    EXPECT_NE(status, 0);
    return output;
  }

  fs::path folder_;
};

TEST_F(PluginMacro, NeedsNoOtherHeader) {
  const auto [status, output] =
      compile(R"(QHOST_PLUGIN(bwn, "text", "Apache-2.0", "https://example.org"))", "bwn");
  EXPECT_EQ(status, 0) << output;
}

TEST_F(PluginMacro, TheNameMustEqualCMakes) {
  const auto [status, output] =
      compile(R"(QHOST_PLUGIN(bnw, "text", "Apache-2.0", "https://example.org"))", "bwn");
  EXPECT_NE(status, 0);
  EXPECT_THAT(output,
              HasSubstr("the name in QHOST_PLUGIN() differs from the name in qhost_add_plugin()"));
}

TEST_F(PluginMacro, NoTextMayBeEmpty) {
  EXPECT_THAT(
      compile(R"(QHOST_PLUGIN(bwn, "", "Apache-2.0", "https://example.org"))", "bwn").second,
      HasSubstr("QHOST_PLUGIN(): the description is empty"));
  EXPECT_THAT(compile(R"(QHOST_PLUGIN(bwn, "text", "", "https://example.org"))", "bwn").second,
              HasSubstr("QHOST_PLUGIN(): the license is empty"));
  EXPECT_THAT(compile(R"(QHOST_PLUGIN(bwn, "text", "Apache-2.0", ""))", "bwn").second,
              HasSubstr("QHOST_PLUGIN(): the origin is empty"));
}

TEST_F(PluginMacro, OtherCompilerModesShowInTheStamp) {
  const std::string use = R"(QHOST_PLUGIN(bwn, "text", "Apache-2.0", "https://example.org"))";
  const auto stamp = [&](const std::string& options, const std::string& line) {
    const auto [status, output] = compile(use, "bwn", options + " -E");
    EXPECT_EQ(status, 0) << output;
    EXPECT_THAT(output, HasSubstr(line)) << options;
  };
  stamp("-D_GLIBCXX_DEBUG", "\\nglibcxx_debug=\" \"1\"");
  stamp("", "\\nglibcxx_debug=\" \"0\"");
  stamp("-fsanitize=address", "\\nsanitizers=\" \"address\"");
  stamp("-fsanitize=thread", "\\nsanitizers=\" \"thread\"");
  stamp("-D_GLIBCXX_USE_CXX11_ABI=0", "__cxx11_0");
}

TEST_F(PluginMacro, CMakeRefusesWhatCannotBeAPlugin) {
  EXPECT_THAT(add_plugin("Bad-Name VERSION 1.0 PROVIDES quantizer:a SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(Bad-Name): a plugin's name consists of a-z, 0-9 and _"));
  EXPECT_THAT(add_plugin("a PROVIDES quantizer:a SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(a): VERSION \"\" is not a version"));
  EXPECT_THAT(add_plugin("a VERSION 1.0 SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(a): PROVIDES is missing"));
  EXPECT_THAT(add_plugin("a VERSION 1.0 PROVIDES kernel:a SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(a): PROVIDES \"kernel:a\" is not kind:name"));
  EXPECT_THAT(add_plugin("a VERSION 1.0 PROVIDES quantizer:a"),
              HasSubstr("qhost_add_plugin(a): SOURCES is missing"));
  EXPECT_THAT(add_plugin("a VERSION 1.0 PROVIDE quantizer:a SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(a): "));
  EXPECT_THAT(add_plugin("a extra VERSION 1.0 PROVIDES quantizer:a SOURCES a.cpp"),
              HasSubstr("qhost_add_plugin(a): unknown arguments: extra"));
}

}  // namespace
}  // namespace qhost::tests
