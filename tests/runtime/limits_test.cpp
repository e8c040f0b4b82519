// What a plan refuses: memory that a small file could demand. Long programs are planned in a time
// that grows with their length.
#include <gmock/gmock.h>

#include <functional>

#include "packed/program_file.h"
#include "packed/reference_interpreter.h"
#include "qhost/error.h"
#include "runtime/arena.h"
#include "runtime/engine.h"
#include "runtime/isa.h"

namespace qhost::runtime {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

Step input(std::vector<std::int64_t> shape) {
  Step step{.name = "input", .op = StepOp::input};
  step.shape.dims = std::move(shape);
  return step;
}

/// Adds the mean of the last value as the output.
Program finished(Program program) {
  const int last = static_cast<int>(program.steps.size()) - 1;
  Step pool{.name = "pool", .op = StepOp::global_average_pool, .inputs = {last}};
  pool.shape.dims = {program.step(last).channels()};
  program.steps.push_back(std::move(pool));
  program.output = last + 1;
  return program;
}

std::string refused(const Program& program) {
  const std::string why = packed::why_invalid(program);
  if (!why.empty()) return why;
  try {
    make_plan(program);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::storage);
    return error.what();
  }
  return "";
}

TEST(Limits, ValuesNeedNoMoreThanAGibibyte) {
  Program large;
  large.steps.push_back(input({1, 1 << 15, 1 << 14}));
  EXPECT_EQ(refused(finished(large)),
            "a value of the packed network needs 2048 MiB, and the limit is 1024 MiB\n"
            "help: a smaller network, or smaller images, need less");
  Program sum;  // two values of 640 MiB at once
  sum.steps.push_back(input({10, 1 << 12, 1 << 12}));
  Step activation{.name = "a", .op = StepOp::activation, .inputs = {0}};
  activation.shape = sum.input().shape;
  sum.steps.push_back(activation);
  EXPECT_THAT(refused(finished(sum)),
              ::testing::StartsWith("the values of the packed network need 1280 MiB, and the limit "
                                    "is 1024 MiB"));
}

TEST(Limits, ABorderCountsAsValues) {
  Program program;
  program.steps.push_back(input({1, 1, 1}));
  Step encode{.name = "e", .op = StepOp::encode, .inputs = {0}, .thresholds = {0}};
  encode.shape = program.input().shape;
  encode.codes = packed::Codes{.encoding = Encoding::binary(ScaleKind::none)};
  program.steps.push_back(encode);
  Step conv{.name = "conv", .op = StepOp::conv2d, .inputs = {1}};
  conv.stride = std::int64_t{1} << 24;
  conv.padding = std::int64_t{1} << 24;
  conv.shape.dims = {1, 3, 3};
  conv.weight = StoredTensor{
      .encoding = Encoding::binary(ScaleKind::none), .shape = {1, 1, 1, 1}, .codes = {1}};
  program.steps.push_back(conv);
  EXPECT_EQ(
      refused(finished(program)),
      "the step `conv`: its padding 16777216x16777216 around [N,1,1,1] makes more than 2^31 - "
      "1 values");
  // The border of codes is the larger one of each direction, of all that read them.
  program.step(2).padding = Size2(0, 1 << 24);
  program.step(2).shape.dims = {1, 1, 3};
  Step other = program.step(2);
  other.name = "other";
  other.padding = Size2(1 << 24, 0);
  other.shape.dims = {1, 3, 1};
  program.steps.push_back(other);
  EXPECT_THAT(refused(finished(program)),
              ::testing::StartsWith("a value of the packed network needs "));
}

TEST(Limits, TablesNeedNoMoreThanTwoGibibytes) {
  Program program;
  const std::int64_t channels = 1 << 22;
  program.steps.push_back(input({channels, 1, 1}));
  Step encode{.name = "e", .op = StepOp::encode, .inputs = {0}};
  encode.shape = program.input().shape;
  encode.codes =
      packed::Codes{.encoding = Encoding::uniform(8, ScaleKind::none, ZeroPointKind::channel),
                    .zero_point = std::vector<std::int32_t>(static_cast<std::size_t>(channels), 0)};
  for (int j = 0; j < 255; ++j) encode.thresholds.push_back(static_cast<float>(j));
  program.steps.push_back(encode);
  Step decode{.name = "d", .op = StepOp::decode, .inputs = {1}};
  decode.shape = encode.shape;
  program.steps.push_back(decode);
  EXPECT_THAT(refused(finished(program)),
              ::testing::StartsWith("the weights and tables of the packed network up to `d` need "
                                    "4497 MiB, and the limit is 2048 MiB"));
}

TEST(Limits, FloatsCompareNoSumsThatTheyRound) {
  // Levels 0..255 on both sides: no kernel of integers.
  for (const std::int64_t features : {258, 259}) {
    Program program;
    program.steps.push_back(input({features}));
    Step encode{.name = "e", .op = StepOp::encode, .inputs = {0}};
    encode.shape = program.input().shape;
    encode.codes =
        packed::Codes{.encoding = Encoding::uniform(8, ScaleKind::none, ZeroPointKind::none)};
    for (int j = 0; j < 255; ++j) encode.thresholds.push_back(static_cast<float>(j));
    program.steps.push_back(encode);
    Step linear{.name = "fc", .op = StepOp::linear, .inputs = {1}};
    linear.shape.dims = {1};
    linear.weight =
        StoredTensor{.encoding = Encoding::uniform(8, ScaleKind::none, ZeroPointKind::none),
                     .shape = {1, features},
                     .codes = std::vector<std::uint8_t>(static_cast<std::size_t>(features), 255)};
    linear.codes = packed::Codes{.encoding = Encoding::binary(ScaleKind::none)};
    linear.sum_thresholds = {255 * 255 * 258};
    program.steps.push_back(linear);
    Step decode{.name = "d", .op = StepOp::decode, .inputs = {2}};
    decode.shape = linear.shape;
    program.steps.push_back(decode);
    program.output = 3;
    const std::string why = refused(program);
    if (features == 258) {
      EXPECT_EQ(why, "");
    } else {
      EXPECT_THAT(why, ::testing::StartsWith("the step `fc` compares sums that may pass 2^24, for "
                                             "which the engine has no kernel"));
    }
  }
}

TEST(Limits, AWindowMayLieOutsideOfTheImage) {
  // A kernel and a padding that are larger than the image, with every kind of kernel.
  for (const float level : {0.0F, 1.0F, -1.0F}) {
    for (const bool binary : {true, false}) {
      Program program;
      program.steps.push_back(input({3, 2, 2}));
      Step encode{.name = "e", .op = StepOp::encode, .inputs = {0}};
      encode.shape = program.input().shape;
      encode.codes = packed::Codes{.encoding = binary ? Encoding::binary(ScaleKind::none)
                                                      : Encoding::ternary(ScaleKind::none)};
      encode.thresholds = binary ? std::vector<float>{0} : std::vector<float>{-0.5F, 0.5F};
      program.steps.push_back(encode);
      Step conv{.name = "conv", .op = StepOp::conv2d, .inputs = {1}};
      conv.kernel = 5;
      conv.padding = 9;
      conv.stride = Size2(3, 2);
      conv.padding_level = level;
      conv.shape.dims = {2, 6, 8};
      conv.weight = StoredTensor{.encoding = Encoding::binary(ScaleKind::none),
                                 .shape = {2, 3, 5, 5},
                                 .codes = std::vector<std::uint8_t>(19, 0xB1)};
      conv.weight->codes.back() = 0x21;
      program.steps.push_back(conv);
      const Program whole = finished(program);
      ASSERT_EQ(packed::why_invalid(whole), "");
      std::vector<float> image;
      for (int i = 0; i < 12; ++i) image.push_back(static_cast<float>(i % 5 - 2) / 2);
      const std::vector<float> expected = tests::ReferenceInterpreter(whole).logits(image);
      for (const Kernels* kernels : usable_kernels()) {
        const auto engine = std::make_shared<const Engine>(whole, kernels);
        Runner runner(engine);
        std::vector<float> logits(engine->classes());
        runner.run(image.data(), 1, logits.data());
        for (std::size_t c = 0; c < logits.size(); ++c) {
          EXPECT_NEAR(logits[c], expected[c], 1e-5) << kernels->name;
        }
      }
    }
  }
}

TEST(Limits, LongProgramsArePlannedAndRun) {
  Program program;
  program.steps.push_back(input({2, 1, 1}));
  const int steps = 50000;
  for (int i = 0; i < steps; ++i) {
    Step conv{.name = "c" + std::to_string(i), .op = StepOp::conv2d, .inputs = {i}};
    conv.shape.dims = {2, 1, 1};
    conv.weight = float_tensor({2, 2, 1, 1}, std::vector<float>{0, 1, 1, 0});
    program.steps.push_back(conv);
  }
  const Program whole = finished(program);
  const auto engine = std::make_shared<const Engine>(whole);
  EXPECT_LE(engine->plan().arena_bytes, 1024U) << "values that are no longer read share memory";
  Runner runner(engine);
  const std::vector<float> image = {1, 2};
  std::vector<float> logits(2);
  runner.run(image.data(), 1, logits.data());
  EXPECT_EQ(logits, image) << "an even number of exchanges";
}

TEST(Arena, ManyValuesOfOneTimeDoNotMeet) {
  // Beyond the number that is compared one by one.
  std::vector<Lifetime> values;
  std::uint32_t state = 1;
  const auto below = [&](std::uint32_t limit) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
  };
  for (int i = 0; i < 6000; ++i) {
    Lifetime value{.bytes = 1 + below(1000), .first = static_cast<int>(below(2000))};
    value.last = value.first + static_cast<int>(below(20));
    values.push_back(value);
  }
  const ArenaPlan plan = plan_arena(values);
  for (std::size_t a = 0; a < values.size(); ++a) {
    ASSERT_EQ(plan.offsets[a] % 64, 0U);
    ASSERT_LE(plan.offsets[a] + values[a].bytes, plan.bytes);
    for (std::size_t b = 0; b < a; ++b) {
      const bool together = values[a].first <= values[b].last && values[b].first <= values[a].last;
      const bool meet = plan.offsets[a] < plan.offsets[b] + values[b].bytes &&
                        plan.offsets[b] < plan.offsets[a] + values[a].bytes;
      ASSERT_FALSE(together && meet) << a << ", " << b;
    }
  }
}

}  // namespace
}  // namespace qhost::runtime
