// tests/packed/mean_program.h: a packed network whose logits are easy to compute.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "packed/program.h"

namespace qhost::tests {

/// logits = weight * mean over the pixels of each channel; `weight` [classes][channels]. The input
/// is normalized with mean 0.5 and deviation 0.25 in each channel.
inline packed::Program mean_program(std::int64_t height, std::int64_t width,
                                    const std::vector<std::vector<float>>& weight,
                                    std::vector<std::string> class_names) {
  const auto classes = static_cast<std::int64_t>(weight.size());
  const auto channels = static_cast<std::int64_t>(weight.at(0).size());
  packed::Program program;
  packed::Step input{.name = "input", .op = packed::StepOp::input};
  input.shape.dims = {channels, height, width};
  packed::Step pool{.name = "pool", .op = packed::StepOp::global_average_pool, .inputs = {0}};
  pool.shape.dims = {channels};
  packed::Step fc{.name = "fc", .op = packed::StepOp::linear, .inputs = {1}};
  fc.shape.dims = {classes};
  std::vector<float> values;
  for (const std::vector<float>& row : weight) values.insert(values.end(), row.begin(), row.end());
  fc.weight = float_tensor({classes, channels}, values);
  program.steps = {std::move(input), std::move(pool), std::move(fc)};
  program.output = 2;
  program.provenance.name = "mean";
  program.provenance.class_names = std::move(class_names);
  program.provenance.mean.assign(weight[0].size(), 0.5);
  program.provenance.deviation.assign(weight[0].size(), 0.25);
  return program;
}

}  // namespace qhost::tests
