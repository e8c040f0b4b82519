/// bench/hand_step.h: ResNet-20 and its training step, written by hand for LibTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace qhost::bench {

/// The step as an expert in LibTorch writes it for this one network: channels_last, in-place
/// operations where possible, casts to bfloat16 around the convolutions, one fused SGD call for all
/// parameters. The batch is ready: no augmentation is included.
class HandStep {
 public:
  HandStep(bool bf16, std::int64_t batch_size);
  void step();
  double loss() const { return loss_; }
  std::int64_t parameters() const;

 private:
  at::Tensor parameter(const at::Tensor& value);
  /// Index into parameters_ of a convolution's weight; batch norm's gamma and beta follow it.
  std::size_t convolution(std::int64_t in, std::int64_t out);
  at::Tensor convolve_and_normalize(const at::Tensor& x, std::size_t index, std::int64_t stride);
  at::Tensor forward(const at::Tensor& images);

  struct Block {
    std::size_t first = 0, second = 0;
    std::int64_t stride = 1, grows_by = 0;
  };
  at::ScalarType type_;
  std::vector<at::Tensor> parameters_, momenta_;
  std::vector<at::Tensor> means_, variances_;  // by index / 3
  std::vector<Block> blocks_;
  std::size_t stem_ = 0, fc_ = 0;
  at::Tensor images_, labels_;
  bool first_step_ = true;
  double loss_ = 0;
};

}  // namespace qhost::bench
