// Installs qhost into an empty folder, builds the plugin project of sdk/template against it in the
// other build type, and uses the plugin here and in the installed program.
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "registry/registry.h"
#include "registry/stamp.h"

namespace qhost::tests {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

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

/// The run paths of an ELF file as one text.
std::string run_path(const fs::path& file) {
  const Result result = run("readelf -d " + quoted(file) + " | grep -E 'R(UN)?PATH'");
  const std::size_t open = result.output.find('['), close = result.output.find(']');
  return open == std::string::npos ? "" : result.output.substr(open + 1, close - open - 1);
}

class Sdk : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = (fs::temp_directory_path() / "qhost-sdk-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = fs::canonical(pattern);
    installed_ =
        run(CMAKE " --install " + quoted(QHOST_BINARY_DIR) + " --prefix " + quoted(prefix()));
    if (installed_.status != 0) return;
    // LD_LIBRARY_PATH and CXXFLAGS of the caller are not part of the test.
    configured_ =
        run("env -u LD_LIBRARY_PATH -u CXXFLAGS -u QHOST_TORCH_DIR " CMAKE " -G Ninja -S " +
            quoted(prefix() / "share/qhost/template") + " -B " + quoted(root_ / "build") +
            " -DCMAKE_BUILD_TYPE=" + other_build_type() + " -DCMAKE_CXX_COMPILER=" QHOST_CXX +
            " -DQhostSdk_DIR=" + quoted(prefix() / QHOST_LIBDIR "/cmake/QhostSdk"));
    if (configured_.status == 0) {
      built_ = run("env -u LD_LIBRARY_PATH " CMAKE " --build " + quoted(root_ / "build"));
    }
  }
  static void TearDownTestSuite() {
    std::error_code error;
    fs::remove_all(root_, error);
  }
  void SetUp() override {
    ASSERT_EQ(installed_.status, 0) << installed_.output;
    ASSERT_EQ(configured_.status, 0) << configured_.output;
    ASSERT_EQ(built_.status, 0) << built_.output;
  }

  static std::string other_build_type() {
    return host_stamp().build_type == "Debug" ? "Release" : "Debug";
  }
  static fs::path prefix() { return root_ / "prefix"; }
  static fs::path plugins() { return root_ / "build/lib/qhost/plugins"; }

  static inline fs::path root_;
  static inline Result installed_, configured_, built_;
};

TEST_F(Sdk, InstallsItsParts) {
  const fs::path lib = prefix() / QHOST_LIBDIR;
  for (const fs::path& file :
       {lib / "libqhost_core.so", lib / "qhost/plugins/bwn.so", lib / "qhost/plugins/resnet.so",
        lib / "cmake/QhostSdk/QhostSdkConfig.cmake", prefix() / "bin/qhost",
        prefix() / "include/qhost/quantizer.h", prefix() / "share/qhost/template/sign.cpp"}) {
    EXPECT_TRUE(fs::is_regular_file(file)) << file;
  }
  // The plugins of the tests are not installed.
  for (const auto& entry : fs::directory_iterator(lib / "qhost/plugins")) {
    const std::string name = entry.path().stem().string();
    const fs::path source = fs::path(QHOST_SOURCE_DIR) / "plugins" / name;
    EXPECT_TRUE(fs::exists(source) || fs::exists(source.string() + ".cpp")) << entry.path();
  }
}

TEST_F(Sdk, RunPathsAreRelativeAndHaveNoEmptyEntry) {
  const fs::path lib = prefix() / QHOST_LIBDIR, build = QHOST_BINARY_DIR;
  const std::vector<fs::path> files = {
      lib / "libqhost_core.so", prefix() / "bin/qhost",         lib / "qhost/plugins/bwn.so",
      build / "bin/qhost",      build / "lib/libqhost_core.so", build / "lib/qhost/plugins/bwn.so",
      plugins() / "sign.so"};
  for (const fs::path& file : files) {
    const std::string path = run_path(file);
    EXPECT_THAT(path, testing::StartsWith("$ORIGIN")) << file;
    // The loader reads an empty entry as the working directory.
    EXPECT_THAT(":" + path + ":", Not(HasSubstr("::"))) << file;
    EXPECT_THAT(path, Not(HasSubstr(build.string()))) << file;
  }
}

TEST_F(Sdk, TheStampNamesTheOtherBuildType) {
  const Stamp stamp = read_stamp(plugins() / "sign.so");
  EXPECT_EQ(stamp.name, "sign");
  EXPECT_EQ(stamp.version, "1.0.0");
  EXPECT_EQ(stamp.build_type, other_build_type());
  EXPECT_EQ(stamp.torch, host_stamp().torch);
  EXPECT_EQ(stamp.sdk, host_stamp().sdk);
  EXPECT_THAT(stamp.provides, ElementsAre("quantizer:sign"));
}

TEST_F(Sdk, ExportsTheEntryAndTheStampOnly) {
  const Result result = run("nm -D --defined-only --format=just-symbols " +
                            quoted(plugins() / "sign.so") + " | sort");
  EXPECT_EQ(result.output, "qhost_plugin_sign\nqhost_stamp_sign\n");
}

TEST_F(Sdk, AForeignPluginOfAnotherBuildTypeLoadsWithAWarningAndWorks) {
  Registry registry({.plugin_paths = {plugins()}, .default_paths = false});
  const QuantizerMethod& method = registry.quantizer("sign");
  EXPECT_EQ(method.summary, "the sign of the weight, straight-through gradient");
  EXPECT_THAT(method.keep_float, ElementsAre("first", "last"));
  const auto files = registry.plugins();
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_TRUE(files[0].usable);
  EXPECT_THAT(files[0].warnings,
              ElementsAre("build type: " + other_build_type() + " in the plugin, " +
                          host_stamp().build_type + " in this qhost"));

  SlotInfo slot;
  slot.node = "conv1";
  slot.shape = {2, 3};
  SlotContext context;
  context.slot = &slot;
  const std::unique_ptr<WeightQuantizer> sign = method.create(Options{})->weight(slot);
  EXPECT_EQ(sign->encoding(slot), Encoding::binary(ScaleKind::none));
  const at::Tensor latent =
      at::tensor({0.25, -0.5, 0.0, -3.0, 7.0, -0.0}, at::kFloat).view({2, 3}).requires_grad_();
  const at::Tensor weight = sign->forward(context, latent);
  EXPECT_TRUE(
      at::equal(weight.detach(), at::tensor({1., -1., 1., -1., 1., 1.}, at::kFloat).view({2, 3})));
  EXPECT_TRUE(at::equal(weight.detach(), decode(sign->encode(context, latent.detach()))));
  // Autograd works across the library boundary: the straight-through gradient reaches the latent
  // weight.
  const at::Tensor upstream = at::tensor({1., 2., 3., 4., 5., 6.}, at::kFloat).view({2, 3});
  weight.backward(upstream);
  EXPECT_TRUE(at::equal(latent.grad(), upstream));
  // A C++ type of the core is one type on both sides.
  EXPECT_NE(dynamic_cast<WeightQuantizer*>(sign.get()), nullptr);
}

TEST_F(Sdk, TheInstalledProgramListsItsPluginsAndTheForeignOne) {
  const Result result =
      run("cd / && env -u LD_LIBRARY_PATH -u QHOST_PLUGIN_PATH XDG_DATA_HOME=" + quoted(root_) +
          " " + quoted(prefix() / "bin/qhost") + " --plugin-path " + quoted(plugins()) +
          " list --json 2>/dev/null");
  ASSERT_EQ(result.status, 0) << result.output;
  std::map<std::string, std::string> found;
  for (const auto& entry : nlohmann::json::parse(result.output)) {
    found[entry.at("kind").get<std::string>() + ":" + entry.at("name").get<std::string>()] =
        entry.at("plugin").get<std::string>() + " " + entry.at("version").get<std::string>();
  }
  EXPECT_EQ(found["quantizer:sign"], "sign 1.0.0");
  EXPECT_EQ(found["quantizer:bwn"], "bwn 1.0.0");
  EXPECT_EQ(found["architecture:resnet"], "resnet 1.0.0");
}

TEST_F(Sdk, AnotherLibTorchIsRefusedWhileConfiguring) {
  const fs::path torch = root_ / "torch";
  fs::create_directories(torch / "lib");
  fs::create_directories(torch / "include/torch/headeronly");
  std::ofstream(torch / "lib/libtorch_cpu.so") << "";
  std::ofstream(torch / "include/torch/headeronly/version.h")
      << "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 99\n#define "
         "TORCH_VERSION_PATCH 0\n";
  const Result result = run(
      CMAKE " -S " + quoted(prefix() / "share/qhost/template") + " -B " + quoted(root_ / "other") +
      " -G Ninja -DCMAKE_CXX_COMPILER=" QHOST_CXX " -DQhostSdk_DIR=" +
      quoted(prefix() / QHOST_LIBDIR "/cmake/QhostSdk") + " -DQHOST_TORCH_DIR=" + quoted(torch));
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("LibTorch 2.99.0"), HasSubstr("does not fit"),
                                   HasSubstr(host_stamp().torch), HasSubstr("help: set")));
}

}  // namespace
}  // namespace qhost::tests
