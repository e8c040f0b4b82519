/// training/gradient_norm.h: gradient clipping by the norm of all gradients together.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "training/parameter.h"

namespace qhost::training {

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), where norm is the Euclidean norm of
/// all of them together, and returns that norm (float32 scalar on the device: no synchronization);
/// 0 without any gradient. The factor is that of torch.nn.utils.clip_grad_norm_.
at::Tensor clip_gradient_norm(const std::vector<TrainableParameter>& parameters, double max_norm);

}  // namespace qhost::training
