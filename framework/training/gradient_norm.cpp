#include "training/gradient_norm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace qhost::training {

at::Tensor clip_gradient_norm(const std::vector<TrainableParameter>& parameters, double max_norm) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const TrainableParameter& parameter : parameters) {
    if (parameter.tensor.grad().defined()) {
      gradients.push_back(parameter.tensor.grad());
    }
  }
  if (gradients.empty()) {
    return at::zeros({}, parameters.empty() ? at::TensorOptions().dtype(at::kFloat)
                                            : parameters[0].tensor.options().dtype(at::kFloat));
  }
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2);
  for (at::Tensor& norm : norms) {
    norm = norm.to(gradients[0].device(), at::kFloat);
  }
  const at::Tensor norm = at::linalg_vector_norm(at::stack(norms));
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  for (at::Tensor& gradient : gradients) {
    gradient.mul_(factor.to(gradient.device(), gradient.scalar_type()));
  }
  return norm;
}

}  // namespace qhost::training
