// The engine against packed/program.h word for word: every kind of kernels, merged or not, with any
// number of threads, to the last bit.
#include "runtime/engine.h"

#include <gmock/gmock.h>

#include "packed/random_program.h"
#include "packed/reference_interpreter.h"
#include "qhost/error.h"
#include "runtime/arena.h"
#include "runtime/isa.h"

namespace qhost::runtime {
namespace {

std::vector<float> logits_of(const packed::Program& program, const Kernels* kernels, bool merge,
                             int threads, const std::vector<std::vector<float>>& images) {
  const auto engine = std::make_shared<const Engine>(program, kernels, merge);
  Runner runner(engine, threads);
  std::vector<float> input, output(images.size() * engine->classes());
  for (const auto& image : images) input.insert(input.end(), image.begin(), image.end());
  runner.run(input.data(), images.size(), output.data());
  // Again: nothing of an earlier run is left.
  std::vector<float> again(output.size());
  runner.run(input.data(), images.size(), again.data());
  EXPECT_EQ(output, again);
  return output;
}

TEST(Engine, ComputesWhatTheProgramSays) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    tests::RandomProgram random(seed);
    const packed::Program program = random.make(4 + static_cast<int>(seed % 9));
    ASSERT_EQ(packed::why_invalid(program), "");
    std::vector<std::vector<float>> images;
    std::vector<float> expected;
    tests::ReferenceInterpreter reference(program);
    for (int i = 0; i < 3; ++i) {
      images.push_back(random.image());
      const std::vector<float> logits = reference.logits(images.back());
      expected.insert(expected.end(), logits.begin(), logits.end());
    }
    for (const Kernels* kernels : usable_kernels()) {
      for (const bool merge : {true, false}) {
        for (const int threads : {1, 2}) {
          SCOPED_TRACE("seed " + std::to_string(seed) + ", " + kernels->name +
                       (merge ? ", merged, " : ", not merged, ") + std::to_string(threads));
          EXPECT_EQ(logits_of(program, kernels, merge, threads, images), expected);
        }
      }
    }
    if (HasFailure()) break;
  }
}

/// Codes of four bits with a scale, of thresholds that a rounding gives, or nearly gives.
TEST(Engine, TakesARoundingOnlyWhereItAgreesEverywhere) {
  constexpr float scale = 0.1F, infinity = std::numeric_limits<float>::infinity();
  std::vector<float> exact;
  for (int j = 0; j < 15; ++j) {
    // The smallest float whose quotient rounds to j - 1 or more; the zero point is 2.
    float t = scale * (static_cast<float>(j) - 1.5F);
    while (std::nearbyint(t / scale) + 2 > static_cast<float>(j)) t = std::nextafter(t, -infinity);
    while (std::nearbyint(t / scale) + 2 <= static_cast<float>(j)) t = std::nextafter(t, infinity);
    exact.push_back(t);
  }
  for (const int moved : {-1, 0, 7, 14}) {
    for (const float towards : {-infinity, infinity}) {
      std::vector<float> thresholds = exact, image;
      if (moved >= 0) {
        float& t = thresholds[static_cast<std::size_t>(moved)];
        t = std::nextafter(t, towards);
      }
      for (const float t : exact) {
        for (const float x : {std::nextafter(t, -infinity), t, std::nextafter(t, infinity)}) {
          image.push_back(x);
        }
      }
      image.insert(image.end(), {1e9F, -1e9F, -0.0F});
      packed::Program program;
      packed::Step input{.name = "x"};
      input.shape.dims = {static_cast<std::int64_t>(image.size())};
      packed::Step encode{.name = "encode",
                          .op = packed::StepOp::encode,
                          .inputs = {0},
                          .shape = input.shape,
                          .thresholds = thresholds};
      encode.codes =
          packed::Codes{.encoding = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::tensor),
                        .scale = {scale},
                        .zero_point = {4}};
      packed::Step decode{
          .name = "decode", .op = packed::StepOp::decode, .inputs = {1}, .shape = input.shape};
      program.steps = {input, encode, decode};
      program.output = 2;
      tests::ReferenceInterpreter reference(program);
      EXPECT_EQ(logits_of(program, nullptr, true, 1, {image}), reference.logits(image))
          << moved << " " << towards;
    }
  }
}

TEST(Arena, ValuesOfOneTimeDoNotMeet) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> values(1 + random() % 30);
    for (Lifetime& value : values) {
      value.bytes = 1 + random() % 1000;
      value.first = static_cast<int>(random() % 20);
      value.last = value.first + static_cast<int>(random() % 6);
    }
    const ArenaPlan plan = plan_arena(values);
    for (std::size_t a = 0; a < values.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0U);
      EXPECT_LE(plan.offsets[a] + values[a].bytes, plan.bytes);
      for (std::size_t b = 0; b < a; ++b) {
        const bool together =
            values[a].first <= values[b].last && values[b].first <= values[a].last;
        const bool meet = plan.offsets[a] < plan.offsets[b] + values[b].bytes &&
                          plan.offsets[b] < plan.offsets[a] + values[a].bytes;
        EXPECT_FALSE(together && meet);
      }
    }
  }
}

TEST(Kernels, AreChosenByTheEnvironment) {
  ASSERT_EQ(::setenv("QHOST_RUNTIME_ISA", "portable", 1), 0);
  EXPECT_STREQ(chosen_kernels().name, "portable");
  ASSERT_EQ(::setenv("QHOST_RUNTIME_ISA", "sse9", 1), 0);
  try {
    chosen_kernels();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith(
                                  "QHOST_RUNTIME_ISA = `sse9` names no kernels of this CPU\nhelp: "
                                  "it is one of portable"));
  }
  ASSERT_EQ(::unsetenv("QHOST_RUNTIME_ISA"), 0);
  EXPECT_EQ(&chosen_kernels(), usable_kernels().back());
}

}  // namespace
}  // namespace qhost::runtime
