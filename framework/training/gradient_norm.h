/// training/gradient_norm.h: gradient clipping by the norm of all gradients together.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "training/parameter.h"

namespace qhost::training {

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), norm = the Euclidean norm of all of
/// them together, and returns that norm (float32 scalar on the device: no synchronization). No
/// gradient at all: 0. The factor is the one of torch.nn.utils.clip_grad_norm_.
at::Tensor clip_gradient_norm(const std::vector<TrainableParameter>& parameters, double max_norm);

}  // namespace qhost::training
