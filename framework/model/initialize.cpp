#include "model/initialize.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "graph/fans.h"

namespace qhost {
void draw(at::Tensor& tensor, Initialization init, const std::vector<std::int64_t>& weight,
          std::int64_t groups, Random random) {
  const at::NoGradGuard no_grad;
  const Fans connections = weight.size() < 2 ? Fans{1, 1} : fans(weight, groups);
  const auto in = static_cast<double>(connections.in);
  const auto out = static_cast<double>(connections.out);
  at::Tensor values = at::empty(tensor.sizes(), at::TensorOptions(at::kFloat));
  auto* data = values.data_ptr<float>();
  const auto n = static_cast<std::size_t>(values.numel());
  const auto normal = [&](double deviation) {
    random.fill_normal(data, n);
    values.mul_(deviation);
  };
  const auto uniform = [&](double bound) {
    random.fill_uniform(data, n);
    values.mul_(2 * bound).sub_(bound);
  };
  switch (init) {
    case Initialization::kaiming_normal_fan_out:
      normal(std::sqrt(2.0 / out));
      break;
    case Initialization::kaiming_normal_fan_in:
      normal(std::sqrt(2.0 / in));
      break;
    case Initialization::kaiming_uniform_fan_in:
      uniform(std::sqrt(6.0 / in));
      break;
    case Initialization::torch_default:
      uniform(1.0 / std::sqrt(in));
      break;
    case Initialization::glorot_uniform:
      uniform(std::sqrt(6.0 / (in + out)));
      break;
    case Initialization::zeros:
      values.zero_();
      break;
    case Initialization::ones:
      values.fill_(1.0);
      break;
  }
  tensor.copy_(values);
}

}  // namespace qhost
