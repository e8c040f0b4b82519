// libqhost_runtime.so as others get it: what it needs and exports, its installation, and the examples
// of sdk/examples/runtime compiled against that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "packed/program_file.h"

namespace qhost::tests {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

struct Result {
  int status = -1;
  std::string output;  ///< stdout and stderr
};
Result run(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + " ; } 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  Result result;
  char text[4096];
  while (const std::size_t got = std::fread(text, 1, sizeof text, pipe)) {
    result.output.append(text, got);
  }
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}
std::string quoted(const fs::path& path) {
  return "'" + path.string() + "'";
}

const fs::path library = QHOST_BINARY_DIR "/lib/libqhost_runtime.so";

TEST(RuntimeLibrary, NeedsOnlyWhatEveryLinuxHas) {
  const Result dynamic = run("readelf -d " + quoted(library));
  ASSERT_EQ(dynamic.status, 0) << dynamic.output;
  const std::regex needed("\\(NEEDED\\)[^\\[]*\\[([^\\]]*)\\]");
  const std::set<std::string> allowed = {"libstdc++.so.6",       "libm.so.6",
                                         "libgcc_s.so.1",        "libc.so.6",
                                         "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"};
  int count = 0;
  for (std::sregex_iterator at(dynamic.output.begin(), dynamic.output.end(), needed), end;
       at != end; ++at, ++count) {
    EXPECT_TRUE(allowed.contains((*at)[1])) << (*at)[1];
  }
  EXPECT_GT(count, 0) << dynamic.output;
  EXPECT_THAT(dynamic.output, HasSubstr("[libqhost_runtime.so.1]"));
  EXPECT_THAT(dynamic.output, testing::Not(testing::ContainsRegex("R(UN)?PATH")));
}

TEST(RuntimeLibrary, ExportsItsInterfaceOnly) {
  const Result symbols = run("nm -D --defined-only --format=posix " + quoted(library));
  ASSERT_EQ(symbols.status, 0) << symbols.output;
  std::set<std::string> exported, declared;
  const std::regex line("(\\S+) [A-Z] .*\n");
  for (std::sregex_iterator at(symbols.output.begin(), symbols.output.end(), line), end; at != end;
       ++at) {
    exported.insert((*at)[1]);
  }
  std::ifstream file(QHOST_SOURCE_DIR "/sdk/include/qhost_runtime.h");
  const std::string header{std::istreambuf_iterator<char>(file), {}};
  const std::regex declaration("QHOST_RUNTIME_API [^;(]*?(qhost_\\w+)\\(");
  for (std::sregex_iterator at(header.begin(), header.end(), declaration), end; at != end; ++at) {
    declared.insert((*at)[1]);
  }
  EXPECT_GT(declared.size(), 10U);
  EXPECT_EQ(exported, declared);
}

TEST(RuntimeLibrary, IsSmall) {
#ifdef NDEBUG
  EXPECT_LT(fs::file_size(library), 2U << 20);
#else
  GTEST_SKIP() << "a build for a debugger";
#endif
}

/// Color images of 6 x 5 pixels, three classes with names.
packed::Program network() {
  using packed::Step;
  using packed::StepOp;
  packed::Program p;
  p.provenance = {.name = "example",
                  .class_names = {"cat", "dog", "ship"},
                  .mean = {0.5, 0.25, 0.75},
                  .deviation = {0.25, 0.5, 0.125}};
  Step input{.name = "input", .op = StepOp::input};
  input.shape.dims = {3, 6, 5};
  p.steps.push_back(input);
  std::uint32_t state = 7;
  const auto some = [&](std::size_t count) {
    std::vector<float> values;
    for (std::size_t i = 0; i < count; ++i) {
      state = state * 1664525 + 1013904223;
      values.push_back(static_cast<float>(static_cast<int>(state >> 24) - 128) / 64);
    }
    return values;
  };
  Step stem{.name = "stem", .op = StepOp::conv2d, .inputs = {0}};
  stem.kernel = 3;
  stem.padding = 1;
  stem.shape.dims = {8, 6, 5};
  stem.weight = float_tensor({8, 3, 3, 3}, some(8 * 27));
  p.steps.push_back(stem);
  Step sign{.name = "sign", .op = StepOp::encode, .inputs = {1}, .thresholds = {0}};
  sign.shape = stem.shape;
  sign.codes = packed::Codes{.encoding = Encoding::binary(ScaleKind::none)};
  p.steps.push_back(sign);
  Step conv{.name = "conv", .op = StepOp::conv2d, .inputs = {2}};
  conv.kernel = 3;
  conv.shape.dims = {8, 4, 3};
  conv.weight = StoredTensor{.encoding = Encoding::binary(ScaleKind::none), .shape = {8, 8, 3, 3}};
  for (int i = 0; i < 72; ++i) conv.weight->codes.push_back(static_cast<std::uint8_t>(i * 73));
  p.steps.push_back(conv);
  Step flat{.name = "flat", .op = StepOp::flatten, .inputs = {3}};
  flat.shape.dims = {96};
  p.steps.push_back(flat);
  Step fc{.name = "fc", .op = StepOp::linear, .inputs = {4}};
  fc.shape.dims = {3};
  fc.weight = float_tensor({3, 96}, some(288));
  p.steps.push_back(fc);
  p.output = 5;
  return p;
}

std::string big_endian(std::uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
  return text;
}
std::string chunk(const std::string& kind, const std::string& body) {
  const std::string both = kind + body;
  const auto sum =
      ::crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size()));
  return big_endian(static_cast<std::uint32_t>(body.size())) + both +
         big_endian(static_cast<std::uint32_t>(sum));
}
/// A PNG of 6 x 5 RGB pixels; `rows` are filtered rows: a filter and 15 bytes each.
std::string png(const std::string& rows) {
  std::string packed(1000, '\0');
  uLongf size = packed.size();
  if (::compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                 reinterpret_cast<const Bytef*>(rows.data()), rows.size()) != Z_OK) {
    throw std::runtime_error("zlib does not compress");
  }
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(5) + big_endian(6) + std::string("\x08\x02\0\0\0", 5)) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

class RuntimeInstallation : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = (fs::temp_directory_path() / "qhost-runtime-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = fs::canonical(pattern);
    // It is found from wherever it was moved to.
    installed_ =
        run(CMAKE " --install " + quoted(QHOST_BINARY_DIR) + " --component runtime --prefix " +
            quoted(root_ / "first") + " && mv " + quoted(root_ / "first") + " " + quoted(prefix()));
    write("net.safetensors", packed::to_bytes(network()));
    std::string plain, raw, filtered;
    for (int y = 0; y < 6; ++y) {
      plain += '\0';
      filtered += static_cast<char>(y % 5);
      for (int x = 0; x < 15; ++x) {
        raw += static_cast<char>(y * 41 + x * 29);
        filtered += static_cast<char>(y * y * 31 + x * 57);
      }
      plain += raw.substr(raw.size() - 15);
    }
    write("image.raw", raw);
    write("image.png", png(plain));
    write("filtered.png", png(filtered));
  }
  static void TearDownTestSuite() {
    std::error_code error;
    fs::remove_all(root_, error);
  }
  void SetUp() override { ASSERT_EQ(installed_.status, 0) << installed_.output; }

  static fs::path prefix() { return root_ / "prefix"; }
  static fs::path examples() { return prefix() / "share/qhost/examples/runtime"; }
  static void write(const std::string& name, const std::string& bytes) {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
  }
  /// What pkg-config says for the installation.
  static std::string flags() {
    return "$(PKG_CONFIG_PATH=" + quoted(prefix() / QHOST_LIBDIR "/pkgconfig") +
           " pkg-config --cflags --libs qhost-runtime)";
  }
  static Result classify(const std::string& program, const std::string& image) {
    return run("cd " + quoted(root_) + " && LD_LIBRARY_PATH=" + quoted(prefix() / QHOST_LIBDIR) +
               " " + program + " net.safetensors " + image);
  }

  static inline fs::path root_;
  static inline Result installed_;
};

TEST_F(RuntimeInstallation, HasItsParts) {
  std::set<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(prefix())) {
    if (!entry.is_directory()) files.insert(entry.path().lexically_relative(prefix()).string());
  }
  const std::string lib = QHOST_LIBDIR, share = "share/qhost/examples/runtime/";
  EXPECT_EQ(files, (std::set<std::string>{
                       "include/qhost/runtime.h", "include/qhost_runtime.h",
                       lib + "/cmake/QhostRuntime/QhostRuntimeConfig.cmake",
                       lib + "/cmake/QhostRuntime/QhostRuntimeConfigVersion.cmake",
                       lib + "/libqhost_runtime.so", lib + "/libqhost_runtime.so.1",
                       lib + "/libqhost_runtime.so.1.0.0", lib + "/pkgconfig/qhost-runtime.pc",
                       share + "README.md", share + "classify.c", share + "classify.cpp",
                       share + "classify.py"}));
}

TEST_F(RuntimeInstallation, TheCppExampleIsBuiltByCMakeAndRuns) {
  write("CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20)\nproject(classify LANGUAGES CXX)\n"
        "find_package(QhostRuntime 0.2 REQUIRED)\n"
        "add_executable(classify " +
            (examples() / "classify.cpp").string() +
            ")\n"
            "target_compile_features(classify PRIVATE cxx_std_17)\n"
            "target_link_libraries(classify PRIVATE qhost::runtime)\n");
  const Result built = run("cd " + quoted(root_) +
                           " && " CMAKE " -G Ninja -S . -B build -DCMAKE_CXX_COMPILER=" QHOST_CXX
                           " -DCMAKE_CXX_FLAGS='-Wall -Wextra -Wpedantic -Wshadow -Werror'"
                           " -DCMAKE_PREFIX_PATH=" +
                           quoted(prefix()) + " && " CMAKE " --build build");
  ASSERT_EQ(built.status, 0) << built.output;
  const Result said = classify("build/classify", "image.raw");
  EXPECT_EQ(said.status, 0);
  EXPECT_THAT(said.output, testing::MatchesRegex("[012] (cat|dog|ship) -?[0-9.]+\n"));
  const Result refused = classify("build/classify", "image.png");
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.output, testing::MatchesRegex("an image has [0-9]+ bytes, not 90\n"));
  // All three read the same image.
  const Result python = classify("python3 " + quoted(examples() / "classify.py"), "image.png");
  EXPECT_EQ(python.output, said.output);
}

TEST_F(RuntimeInstallation, TheCExampleIsBuiltByPkgConfigAndAgreesWithThePythonOne) {
  if (run("pkg-config --exists libpng").status != 0) GTEST_SKIP() << "there is no libpng";
  const Result built = run("cd " + quoted(root_) +
                           " && " QHOST_CXX " -x c -std=c99 -Wall -Wextra -Wpedantic -Werror " +
                           quoted(examples() / "classify.c") + " -o classify " + flags() +
                           " $(pkg-config --cflags --libs libpng)");
  ASSERT_EQ(built.status, 0) << built.output;
  for (const char* image : {"image.png", "filtered.png"}) {
    const Result said = classify("./classify", image);
    EXPECT_THAT(said.output, testing::MatchesRegex("[012] (cat|dog|ship) -?[0-9.]+\n"));
    const Result python = classify("python3 " + quoted(examples() / "classify.py"), image);
    EXPECT_EQ(python.output, said.output) << image;
  }
  EXPECT_EQ(classify("./classify", "net.safetensors").status, 1);
}

}  // namespace
}  // namespace qhost::tests
