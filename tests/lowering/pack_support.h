/// Small packed programs for the passes over them, and what they compute.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "graph/pack_codes.h"
#include "packed/infer_shape.h"
#include "packed/program.h"
#include "packed/reference_interpreter.h"
#include "qhost/random.h"

namespace qhost::test {

using packed::Codes;
using packed::Program;
using packed::Step;
using packed::StepOp;

/// The shapes follow from the steps; the last one is the output.
inline Program program_of(const Shape& input, std::vector<Step> steps) {
  Program program;
  program.steps.push_back({.name = "x", .op = StepOp::input, .shape = input});
  for (Step& step : steps) {
    std::string why;
    const auto shape = packed::infer_shape(program, step, why);
    EXPECT_TRUE(shape) << step.name << ": " << why;
    if (shape) step.shape = *shape;
    program.steps.push_back(std::move(step));
  }
  program.output = static_cast<int>(program.steps.size()) - 1;
  EXPECT_EQ(packed::why_invalid(program), "");
  return program;
}

inline Codes binary() {
  return {.encoding = Encoding::binary(ScaleKind::none)};
}
inline Codes uniform(int bits, std::vector<std::int32_t> half_steps = {}) {
  return {
      .encoding = Encoding::uniform(
          bits, ScaleKind::none, half_steps.empty() ? ZeroPointKind::none : ZeroPointKind::tensor),
      .zero_point = std::move(half_steps)};
}

inline StoredTensor weight_of(const Codes& codes, std::vector<std::int64_t> shape,
                              const std::vector<std::uint8_t>& values) {
  StoredTensor weight{.encoding = codes.encoding, .shape = std::move(shape)};
  weight.zero_point = codes.zero_point;
  weight.codes.resize(
      static_cast<std::size_t>(packed_bytes(weight.elements(), codes.encoding.bits)));
  pack_codes(values, codes.encoding.bits, weight.codes);
  return weight;
}
/// Any codes.
inline StoredTensor some_weight(const Codes& codes, const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t dim : shape) count *= static_cast<std::size_t>(dim);
  std::vector<std::uint8_t> values(count);
  Random random(7);
  for (std::uint8_t& v : values) {
    v = static_cast<std::uint8_t>(random.below(static_cast<std::uint64_t>(codes.count())));
  }
  return weight_of(codes, shape, values);
}

inline Step encode(const std::string& name, int from, const Codes& codes,
                   std::vector<float> thresholds) {
  return {.name = name,
          .op = StepOp::encode,
          .inputs = {from},
          .thresholds = std::move(thresholds),
          .codes = codes};
}
inline Step affine(const std::string& name, int from, std::vector<float> scale,
                   std::vector<float> bias) {
  return {.name = name,
          .op = StepOp::affine,
          .inputs = {from},
          .scale = std::move(scale),
          .bias = std::move(bias)};
}
inline Step activation(const std::string& name, int from, Activation kind, double slope = 0) {
  return {
      .name = name, .op = StepOp::activation, .inputs = {from}, .activation = kind, .slope = slope};
}
inline Step conv(const std::string& name, std::vector<int> from, StoredTensor weight,
                 Size2 padding = 0) {
  const Size2 kernel(weight.shape.at(2), weight.shape.at(3));
  return {.name = name,
          .op = StepOp::conv2d,
          .inputs = std::move(from),
          .kernel = kernel,
          .padding = padding,
          .weight = std::move(weight)};
}
inline Step step(const std::string& name, StepOp op, std::vector<int> from) {
  return {.name = name, .op = op, .inputs = std::move(from)};
}

/// "encode: bn", in order.
inline std::vector<std::string> lines(const Program& program) {
  std::vector<std::string> all;
  for (const Step& each : program.steps) {
    std::string line = each.name + ":";
    for (const int input : each.inputs) line += " " + program.step(input).name;
    all.push_back(std::move(line));
  }
  return all;
}
inline const Step& at(const Program& program, const std::string& name) {
  for (const Step& each : program.steps) {
    if (each.name == name) return each;
  }
  throw std::runtime_error("no step " + name);
}

/// The outputs have the same bits, for many images; the values of `seeds` are among their pixels.
inline void expect_same_outputs(const Program& wanted, const Program& got,
                                const std::vector<float>& seeds = {}) {
  ASSERT_EQ(packed::why_invalid(got), "");
  tests::ReferenceInterpreter before(wanted), after(got);
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    std::vector<float> image(static_cast<std::size_t>(wanted.input().shape.elements()));
    random.fill_normal(image.data(), image.size());
    for (float& pixel : image) {
      const std::uint64_t choice = random.below(8);
      if (choice == 0) pixel = 0;
      if (choice == 1) pixel *= 1000;
      if (choice == 2 && !seeds.empty()) {
        pixel = seeds[random.below(seeds.size())];
        if (random.below(3) == 0) pixel = std::nextafter(pixel, pixel + 1);
        if (random.below(3) == 0) pixel = std::nextafter(pixel, pixel - 1);
      }
    }
    ASSERT_EQ(before.logits(image), after.logits(image)) << "image " << i;
  }
}

}  // namespace qhost::test
