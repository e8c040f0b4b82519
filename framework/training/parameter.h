/// training/parameter.h: one tensor that an optimizer changes.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace qhost::training {

struct TrainableParameter {
  std::string name;  ///< "stage1.block0.conv1.weight": unique within a run, the name in checkpoints
  at::Tensor tensor;  ///< a leaf that requires a gradient
  double learning_rate_multiplier = 1;
  /// The effective value: no optimizer merges a default into it.
  double weight_decay = 0;
};

}  // namespace qhost::training
