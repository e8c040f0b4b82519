#include "hand_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace qhost::bench {

HandStep::HandStep(bool bf16, std::int64_t batch_size) : type_(bf16 ? at::kBFloat16 : at::kFloat) {
  stem_ = convolution(3, 16);
  std::int64_t width = 16;
  for (const std::int64_t wanted : {16, 32, 64}) {
    for (int i = 0; i < 3; ++i) {
      const std::int64_t grows_by = wanted - width;
      Block block{.stride = grows_by > 0 ? 2 : 1, .grows_by = grows_by};
      block.first = convolution(width, wanted);
      block.second = convolution(wanted, wanted);
      blocks_.push_back(block);
      width = wanted;
    }
  }
  fc_ = parameters_.size();
  parameter(at::randn({10, 64}).mul_(0.1));
  parameter(at::zeros({10}));
  for (const at::Tensor& p : parameters_) momenta_.push_back(at::zeros_like(p));
  images_ = at::randn({batch_size, 3, 32, 32}).contiguous(at::MemoryFormat::ChannelsLast);
  labels_ = at::randint(10, {batch_size}, at::kLong);
}

at::Tensor HandStep::parameter(const at::Tensor& value) {
  parameters_.push_back(value.detach().set_requires_grad(true));
  return value;
}

std::size_t HandStep::convolution(std::int64_t in, std::int64_t out) {
  const std::size_t index = parameters_.size();
  parameter(at::randn({out, in, 3, 3})
                .mul_(std::sqrt(2.0 / static_cast<double>(in * 9)))
                .contiguous(at::MemoryFormat::ChannelsLast));
  parameter(at::ones({out}));
  parameter(at::zeros({out}));
  means_.push_back(at::zeros({out}));
  variances_.push_back(at::ones({out}));
  return index;
}

std::int64_t HandStep::parameters() const {
  std::int64_t count = 0;
  for (const at::Tensor& p : parameters_) count += p.numel();
  return count;
}

at::Tensor HandStep::convolve_and_normalize(const at::Tensor& x, std::size_t index,
                                            std::int64_t stride) {
  const at::Tensor y = at::conv2d(x, parameters_[index].to(type_), {}, {stride, stride}, {1, 1});
  return at::batch_norm(y, parameters_[index + 1], parameters_[index + 2], means_[index / 3],
                        variances_[index / 3], true, 0.1, 1e-5, true);
}

at::Tensor HandStep::forward(const at::Tensor& images) {
  at::Tensor x = convolve_and_normalize(images.to(type_), stem_, 1).relu_();
  for (const Block& block : blocks_) {
    at::Tensor y = convolve_and_normalize(x, block.first, block.stride).relu_();
    y = convolve_and_normalize(y, block.second, 1);
    if (block.grows_by > 0) {
      const std::int64_t before = block.grows_by / 2;
      x = at::constant_pad_nd(x.slice(2, 0, x.size(2), 2).slice(3, 0, x.size(3), 2),
                              {0, 0, 0, 0, before, block.grows_by - before}, 0);
    }
    x = y.add_(x).relu_();
  }
  const at::Tensor features = at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
  return at::linear(features, parameters_[fc_].to(type_), parameters_[fc_ + 1].to(type_));
}

void HandStep::step() {
  for (at::Tensor& p : parameters_) p.mutable_grad() = at::Tensor();
  const at::Tensor loss = at::cross_entropy_loss(forward(images_).to(at::kFloat), labels_);
  loss.backward();
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& p : parameters_) gradients.push_back(p.grad());
  at::_fused_sgd_(parameters_, gradients, momenta_, /*weight_decay=*/1e-4, /*momentum=*/0.9,
                  /*lr=*/0.01, /*dampening=*/0, /*nesterov=*/true, /*maximize=*/false, first_step_);
  first_step_ = false;
  loss_ = loss.item<double>();
}

}  // namespace qhost::bench
