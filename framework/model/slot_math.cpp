#include "model/slot_math.h"

#include <ATen/ATen.h>

namespace qhost {

bool is_active(const Traits& traits, Role role, std::int64_t epoch) {
  bool active = true;
  for (const Phase& phase : traits.phases) {
    if (phase.first_epoch > epoch) continue;
    switch (role) {
      case Role::weight:
        active = phase.weights_quantized;
        break;
      case Role::input:
        active = phase.inputs_quantized;
        break;
      case Role::gradient:
        active = phase.gradients_quantized;
        break;
    }
  }
  return active;
}

at::Tensor over_channels(const at::Tensor& values, Op op) {
  if (values.dim() == 0 || values.numel() == 1) return values.reshape({});
  return op == Op::conv2d ? values.reshape({1, -1, 1, 1}) : values;
}

at::Tensor fold_factor(const Node& norm, const std::vector<at::Tensor>& parameters) {
  const double epsilon = norm.as<BatchNormOptions>().epsilon;
  return parameters.at(0) * at::rsqrt(parameters.at(3) + epsilon);
}

at::Tensor per_filter(const at::Tensor& factor, const at::Tensor& weight) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(weight.dim()), 1);
  shape[0] = factor.numel();
  return weight * factor.reshape(shape);
}

void refuse_output_scale(const PluginCall& call, Op op) {
  broke_word(call, std::string("it gives an output scale for the input of ") + to_string(op) +
                       ", which has none");
}

}  // namespace qhost
