// sdk/include/qhost_runtime.h, as a program of others links it.
#include "qhost_runtime.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "packed/program_file.h"
#include "packed/random_program.h"
#include "packed/reference_interpreter.h"
#include "qhost/runtime.h"

#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define QHOST_COUNTS_ALLOCATIONS 0
#else
#define QHOST_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<long> allocations{0};
}

#if QHOST_COUNTS_ALLOCATIONS
// glibc's, counted; operator new calls malloc().
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
}
#endif

namespace qhost::tests {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct FreeModel {
  void operator()(qhost_model* model) const { qhost_model_free(model); }
};
struct FreeRunner {
  void operator()(qhost_runner* runner) const { qhost_runner_free(runner); }
};
using Model = std::unique_ptr<qhost_model, FreeModel>;
using Runner = std::unique_ptr<qhost_runner, FreeRunner>;

/// A random network of images with a linear layer at its end, and images for it.
struct Sample {
  packed::Program program;
  std::string bytes;
  std::vector<float> image;

  explicit Sample(std::uint32_t seed) {
    RandomProgram random(seed);
    program = random.make();
    image = random.image();
    bytes = packed::to_bytes(program);
  }
  Model load() const {
    qhost_error error;
    Model model(qhost_model_load_memory(bytes.data(), bytes.size(), &error));
    EXPECT_NE(model, nullptr) << error.text;
    return model;
  }
};

std::vector<float> run(const qhost_model* model, int threads, const std::vector<float>& images) {
  size_t shape[3];
  qhost_model_input(model, shape);
  const size_t count = images.size() / (shape[0] * shape[1] * shape[2]);
  std::vector<float> logits(count * qhost_model_classes(model));
  const Runner runner(qhost_runner_new(model, threads, nullptr));
  qhost_runner_run(runner.get(), images.data(), count, logits.data());
  return logits;
}

TEST(CApi, RunsAFileAndTheSameBytesInMemory) {
  const Sample sample(5);
  std::string pattern = (std::filesystem::temp_directory_path() / "qhost-c-api-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::string path = pattern + "/net.safetensors";
  std::ofstream(path, std::ios::binary) << sample.bytes;
  qhost_error error;
  const Model model(qhost_model_load(path.c_str(), &error));
  std::filesystem::remove_all(pattern);
  ASSERT_NE(model, nullptr) << error.text;
  EXPECT_STREQ(error.text, "");
  size_t shape[3];
  qhost_model_input(model.get(), shape);
  const Shape& wanted = sample.program.input().shape;
  EXPECT_EQ(std::vector<std::int64_t>(shape, shape + 3), wanted.dims);
  const std::vector<float> logits = ReferenceInterpreter(sample.program).logits(sample.image);
  EXPECT_EQ(qhost_model_classes(model.get()), logits.size());
  EXPECT_EQ(run(model.get(), 1, sample.image), logits);
  EXPECT_EQ(run(sample.load().get(), 2, sample.image), logits);
}

TEST(CApi, TellsWhatTheFileSays) {
  Sample sample(5);
  const auto classes =
      static_cast<std::size_t>(sample.program.step(sample.program.output).channels());
  packed::Provenance& about = sample.program.provenance;
  about.name = "experiment";
  about.class_names.assign(classes, "class");
  about.class_names[1] = "second";
  const auto channels = static_cast<std::size_t>(sample.program.input().channels());
  about.mean.assign(channels, 0.5);
  about.deviation.assign(channels, 0.25);
  about.more = {{"run", "r1"}};
  sample.bytes = packed::to_bytes(sample.program);
  const Model model = sample.load();
  EXPECT_STREQ(qhost_model_class_name(model.get(), 1), "second");
  EXPECT_EQ(qhost_model_class_name(model.get(), classes), nullptr);
  EXPECT_STREQ(qhost_model_info(model.get()), R"({"name":"experiment","run":"r1"})");
  EXPECT_THAT(
      qhost_model_kernels(model.get()),
      ::testing::AnyOf(std::string("portable"), std::string("avx2"), std::string("avx512")));
  EXPECT_THAT(qhost_runtime_version(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  // Pixels are interleaved, images are not.
  std::vector<std::uint8_t> pixels(sample.image.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(7 * i);
  std::vector<float> image(pixels.size());
  qhost_normalize(model.get(), pixels.data(), image.data());
  const std::size_t plane = pixels.size() / channels;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < channels; ++c) {
      EXPECT_EQ(image[c * plane + i],
                (static_cast<float>(pixels[i * channels + c]) / 255.0F - 0.5F) / 0.25F);
    }
  }
}

TEST(CApi, WritesWhyItFails) {
  qhost_error error;
  EXPECT_EQ(qhost_model_load("/nowhere/net.safetensors", &error), nullptr);
  EXPECT_THAT(error.text, HasSubstr("/nowhere/net.safetensors"));
  EXPECT_EQ(qhost_model_load("/nowhere/net.safetensors", nullptr), nullptr);
  EXPECT_EQ(qhost_model_load(nullptr, &error), nullptr);
  EXPECT_STREQ(error.text, "the path is NULL");
  EXPECT_EQ(qhost_model_load_memory(nullptr, 5, &error), nullptr);
  EXPECT_STREQ(error.text, "the bytes are NULL");
  EXPECT_EQ(qhost_model_load_memory("", 0, &error), nullptr);
  EXPECT_THAT(error.text, StartsWith("the packed network in memory"));
  EXPECT_EQ(qhost_runner_new(nullptr, 1, &error), nullptr);
  EXPECT_STREQ(error.text, "the model is NULL");
  qhost_model_free(nullptr);
  qhost_runner_free(nullptr);

  const Sample sample(5);
  EXPECT_EQ(qhost_model_load_memory(sample.bytes.data(), sample.bytes.size() - 1, &error), nullptr);
  EXPECT_THAT(error.text, AllOf(StartsWith("the packed network in memory"), HasSubstr("help: ")));
  const Model model = sample.load();
  EXPECT_EQ(qhost_runner_new(model.get(), 0, &error), nullptr);
  EXPECT_STREQ(error.text, "0 threads, and 1 to 1024 are possible");
  EXPECT_EQ(qhost_runner_new(model.get(), 1 << 30, &error), nullptr);
  ASSERT_EQ(::setenv("QHOST_RUNTIME_ISA", "sse9", 1), 0);
  EXPECT_EQ(qhost_model_load_memory(sample.bytes.data(), sample.bytes.size(), &error), nullptr);
  EXPECT_THAT(error.text, StartsWith("QHOST_RUNTIME_ISA = `sse9` names no kernels"));
  ASSERT_EQ(::unsetenv("QHOST_RUNTIME_ISA"), 0);
}

TEST(CApi, ALongReasonIsCut) {
  const std::string path(3000, 'a');
  qhost_error error;
  EXPECT_EQ(qhost_model_load(path.c_str(), &error), nullptr);
  EXPECT_EQ(std::strlen(error.text), sizeof error.text - 1);
}

TEST(CApi, RunnersOfSeveralThreadsAgree) {
  for (const std::uint32_t seed : {5U, 8U, 13U, 21U}) {
    const Sample sample(seed);
    Model model = sample.load();
    std::vector<float> images;
    for (int i = 0; i < 7; ++i) {
      for (const float value : sample.image) images.push_back(value * static_cast<float>(i - 3));
    }
    const std::vector<float> expected = run(model.get(), 1, images);
    std::vector<std::thread> threads;
    std::atomic<int> different{0};
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < 8; ++round) {
          if (run(model.get(), 1 + t % 3, images) != expected) ++different;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(different, 0) << seed;
    // A runner outlives its model.
    const Runner runner(qhost_runner_new(model.get(), 1, nullptr));
    model.reset();
    std::vector<float> logits(expected.size());
    qhost_runner_run(runner.get(), images.data(), 7, logits.data());
    EXPECT_EQ(logits, expected);
  }
}

TEST(CApi, ARunAllocatesNothing) {
  if (!QHOST_COUNTS_ALLOCATIONS) GTEST_SKIP() << "allocations are counted where malloc is glibc's";
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const Sample sample(seed);
    const Model model = sample.load();
    std::vector<float> logits(3 * qhost_model_classes(model.get())), images;
    for (int i = 0; i < 3; ++i)
      images.insert(images.end(), sample.image.begin(), sample.image.end());
    for (const int threads : {1, 2}) {
      const Runner runner(qhost_runner_new(model.get(), threads, nullptr));
      const long before = allocations;
      qhost_runner_run(runner.get(), images.data(), 3, logits.data());
      EXPECT_EQ(allocations, before) << seed << ", " << threads << " threads";
    }
  }
  const long before = allocations;
  delete new int(1);
  ASSERT_GT(allocations, before) << "this test counts nothing";
}

TEST(CppApi, ThrowsTheErrorsAndRuns) {
  using qhost_runtime::Error;
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message([] { qhost_runtime::Model("/nowhere/net"); }), HasSubstr("/nowhere/net"));
  EXPECT_THAT(message([] { qhost_runtime::Model("", 0); }), HasSubstr("in memory"));
  const Sample sample(5);
  const qhost_runtime::Model model(sample.bytes.data(), sample.bytes.size());
  EXPECT_EQ(model.input_values(), sample.image.size());
  EXPECT_EQ(model.class_name(0), "");
  EXPECT_EQ(qhost_runtime::version(), qhost_runtime_version());
  EXPECT_EQ(model.kernels(), qhost_model_kernels(model.get()));
  EXPECT_EQ(message([&] { qhost_runtime::Runner(model, 0); }),
            "0 threads, and 1 to 1024 are possible");
  EXPECT_THAT(message([&] { model.normalize({1, 2}); }), StartsWith("an image has 2 bytes, not "));
  qhost_runtime::Runner runner(model, 2);
  EXPECT_EQ(runner.run(sample.image), ReferenceInterpreter(sample.program).logits(sample.image));
  EXPECT_THAT(message([&] { runner.run(std::vector<float>(1)); }),
              StartsWith("1 floats are no images of "));
}

}  // namespace
}  // namespace qhost::tests
