#include "model/operations.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <array>

#include "qhost/error.h"

namespace qhost {
namespace {

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

}  // namespace

at::Tensor convolve(const NodeOptions& options, const at::Tensor& x, const at::Tensor& weight,
                    const at::Tensor& bias, double padding_value) {
  const auto* conv = std::get_if<Conv2dOptions>(&options);
  if (conv == nullptr) return at::linear(x, weight, bias);
  if (padding_value != 0) {
    const auto [height, width] = pair(conv->padding);
    // F.pad counts from the last dimension: width, height.
    const at::Tensor padded = at::constant_pad_nd(x, {width, width, height, height}, padding_value);
    constexpr std::array<std::int64_t, 2> none = {0, 0};
    return at::conv2d(padded, weight, bias, pair(conv->stride), none, {1, 1}, conv->groups);
  }
  return at::conv2d(x, weight, bias, pair(conv->stride), pair(conv->padding), {1, 1}, conv->groups);
}

at::Tensor pool(Op op, const PoolOptions& options, const at::Tensor& x) {
  if (op == Op::max_pool) {
    return at::max_pool2d(x, pair(options.kernel), pair(options.stride), pair(options.padding));
  }
  return at::avg_pool2d(x, pair(options.kernel), pair(options.stride), pair(options.padding),
                        /*ceil_mode=*/false, /*count_include_pad=*/false);
}

at::Tensor subsample(const SubsampleOptions& options, const at::Tensor& x) {
  const at::Tensor kept =
      x.slice(2, 0, x.size(2), options.stride.height).slice(3, 0, x.size(3), options.stride.width);
  const std::int64_t missing = options.out_channels - x.size(1);
  if (missing == 0) return kept.contiguous(x.suggest_memory_format());
  // F.pad counts from the last dimension: width, height, channels.
  return at::constant_pad_nd(kept, {0, 0, 0, 0, missing / 2, missing - missing / 2}, 0)
      .contiguous(x.suggest_memory_format());
}

at::Tensor activate(const ActivationOptions& options, at::Tensor& x, bool in_place) {
  switch (options.kind) {
    case Activation::relu:
      return in_place ? at::relu_(x) : at::relu(x);
    case Activation::relu6:
      return at::relu6(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x, options.slope);
    case Activation::hardtanh:
      return at::hardtanh(x, -1, 1);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
  }
  throw Error(ErrorKind::internal, "unknown activation");
}

at::Tensor normalize(const BatchNormOptions& options, const at::Tensor& x,
                     const std::vector<at::Tensor>& parameters, bool of_batch, double momentum) {
  const std::size_t statistics = options.affine ? 2 : 0;
  return at::batch_norm(x, options.affine ? parameters.at(0) : at::Tensor(),
                        options.affine ? parameters.at(1) : at::Tensor(), parameters.at(statistics),
                        parameters.at(statistics + 1), of_batch, momentum, options.epsilon,
                        /*cudnn_enabled=*/true);
}

at::Tensor plain_output(Op op, const NodeOptions& options, std::vector<at::Tensor> inputs,
                        bool in_place) {
  switch (op) {
    case Op::activation:
      return activate(std::get<ActivationOptions>(options), inputs[0], in_place);
    case Op::add:
      return in_place ? inputs[0].add_(inputs[1]) : inputs[0] + inputs[1];
    case Op::concat:
      return at::cat(inputs, 1);
    case Op::max_pool:
    case Op::average_pool:
      return pool(op, std::get<PoolOptions>(options), inputs[0]);
    case Op::global_average_pool:
      return at::adaptive_avg_pool2d(inputs[0], {1, 1}).flatten(1);
    case Op::subsample:
      return subsample(std::get<SubsampleOptions>(options), inputs[0]);
    case Op::flatten:
      return inputs[0].flatten(1);
    default:
      return {};
  }
}

bool output_is_free(Op op) {
  return op == Op::batch_norm || op == Op::conv2d || op == Op::linear || op == Op::add;
}

NoAutocast::NoAutocast(c10::DeviceType device)
    : device_(device), was_(at::autocast::is_autocast_enabled(device)) {
  if (was_) at::autocast::set_autocast_enabled(device_, false);
}
NoAutocast::~NoAutocast() {
  if (was_) at::autocast::set_autocast_enabled(device_, true);
}

Autocast::Autocast(c10::DeviceType device, bool enabled)
    : device_(device), enabled_(enabled), was_(at::autocast::is_autocast_enabled(device)) {
  if (!enabled_) return;
  at::autocast::increment_nesting();
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
}
Autocast::~Autocast() {
  if (!enabled_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, was_);
}

}  // namespace qhost
