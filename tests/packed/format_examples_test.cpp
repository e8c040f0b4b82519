// The Python examples of docs/packed-format.md read the weight of a file that is written here. The
// first needs NumPy and safetensors: QHOST_PYTHON, .deps/python or python3 may have them.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "graph/pack_codes.h"
#include "packed/program_file.h"

namespace qhost::packed {
namespace {

namespace fs = std::filesystem;

/// A convolution of 3-bit weights with this many zero points, and a classifier.
Program sample(std::size_t zero_points) {
  Program p;
  Step input{.name = "input", .op = StepOp::input};
  input.shape.dims = {2, 4, 4};
  p.steps.push_back(input);
  Step conv{.name = "stage1.conv", .op = StepOp::conv2d, .inputs = {0}};
  conv.kernel = 3;
  conv.shape.dims = {5, 2, 2};
  conv.weight = StoredTensor{.encoding = Encoding::uniform(3, ScaleKind::none, ZeroPointKind::none),
                             .shape = {5, 2, 3, 3}};
  if (zero_points == 1) conv.weight->encoding.zero_point = ZeroPointKind::tensor;
  if (zero_points == 5) conv.weight->encoding.zero_point = ZeroPointKind::channel;
  for (std::size_t c = 0; c < zero_points; ++c) {
    conv.weight->zero_point.push_back(static_cast<int>(c) - 3);
  }
  std::vector<std::uint8_t> codes;
  for (int i = 0; i < 90; ++i) codes.push_back(static_cast<std::uint8_t>(i * i % 11 % 8));
  conv.weight->codes.resize(static_cast<std::size_t>(packed_bytes(90, 3)));
  pack_codes(codes, 3, conv.weight->codes);
  p.steps.push_back(conv);
  Step pool{.name = "pool", .op = StepOp::global_average_pool, .inputs = {1}};
  pool.shape.dims = {5};
  p.steps.push_back(pool);
  p.output = 2;
  return p;
}

fs::path python(bool packages) {
  if (!packages) return "python3";
  if (const char* named = std::getenv("QHOST_PYTHON"); named != nullptr && *named != 0)
    return named;
  const fs::path own = QHOST_SOURCE_DIR "/.deps/python/bin/python";
  return fs::exists(own) ? own : "python3";
}

/// The exit status of the example, and what it said.
std::pair<int, std::string> run_example(int number, std::size_t zero_points) {
  std::string folder = (fs::temp_directory_path() / "qhost-format-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  const Program program = sample(zero_points);
  std::ofstream(fs::path(folder) / "net.safetensors", std::ios::binary) << to_bytes(program);
  std::ofstream(fs::path(folder) / "expected.json")
      << nlohmann::json(levels(*program.step(1).weight)).dump();
  const std::string command = "cd '" + folder + "' && '" + python(number == 1).string() +
                              "' '" QHOST_SOURCE_DIR "/tests/packed/format_examples_test.py' " +
                              std::to_string(number) + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
  std::string said;
  char text[4096];
  while (const std::size_t got = std::fread(text, 1, sizeof text, pipe)) said.append(text, got);
  const int status = ::pclose(pipe);
  fs::remove_all(folder);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
}

TEST(PackedFormat, ItsExampleWithPackagesReadsAWeight) {
  for (const std::size_t zero_points : {0U, 1U, 5U}) {
    const auto [status, said] = run_example(1, zero_points);
    if (status == 77) GTEST_SKIP() << said;
    EXPECT_EQ(status, 0) << said;
  }
}

TEST(PackedFormat, ItsExampleWithoutPackagesReadsAWeight) {
  for (const std::size_t zero_points : {0U, 1U, 5U}) {
    const auto [status, said] = run_example(2, zero_points);
    EXPECT_EQ(status, 0) << said;
  }
}

}  // namespace
}  // namespace qhost::packed
