/// model/operations.h: what a node computes, on batches. For model/ and jobs/ alone.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceType.h>

#include <vector>

#include "qhost/graph.h"

namespace qhost {

/// The convolution or the product of a conv2d's or linear node's options; `bias` may be undefined.
at::Tensor convolve(const NodeOptions& options, const at::Tensor& x, const at::Tensor& weight,
                    const at::Tensor& bias, double padding_value = 0);
at::Tensor pool(Op op, const PoolOptions& options, const at::Tensor& x);
at::Tensor subsample(const SubsampleOptions& options, const at::Tensor& x);
/// `in_place`: a ReLU may overwrite x.
at::Tensor activate(const ActivationOptions& options, at::Tensor& x, bool in_place);
/// gamma * (x - mean) / sqrt(variance + epsilon) + beta. `parameters`: gamma and beta, where it has
/// them, running mean and variance, undefined for none. With `of_batch` the statistics are those of
/// `x`, and the running ones move by `momentum`.
at::Tensor normalize(const BatchNormOptions& options, const at::Tensor& x,
                     const std::vector<at::Tensor>& parameters, bool of_batch, double momentum);

/// The output of an operation without parameters or draws (an activation, add, concat, the poolings,
/// subsample, flatten) for `inputs`, in training and in evaluation. `in_place`: a ReLU or an add may
/// overwrite its first input. Undefined for any other operation.
at::Tensor plain_output(Op op, const NodeOptions& options, std::vector<at::Tensor> inputs,
                        bool in_place);

/// May the only reader of this node's value overwrite it? Only where neither the node's own
/// backward nor anything else needs the value again, and the value is no alias of another.
bool output_is_free(Op op);

/// Slots compute in float32 whatever surrounds them.
class NoAutocast {
 public:
  explicit NoAutocast(c10::DeviceType device);
  ~NoAutocast();
  NoAutocast(const NoAutocast&) = delete;
  NoAutocast& operator=(const NoAutocast&) = delete;

 private:
  c10::DeviceType device_;
  bool was_;
};

/// A custom node's author writes in float32 terms; in a bf16 run autocast chooses the operations.
class Autocast {
 public:
  Autocast(c10::DeviceType device, bool enabled);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool enabled_, was_;
};

}  // namespace qhost
