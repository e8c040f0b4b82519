/// qhost/custom.h: a graph node with a differentiable forward of its author's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/graph.h"
#include "qhost/random.h"

namespace qhost {

/// What a custom node's forward knows besides its tensors.
struct CustomContext {
  const Node* node = nullptr;
  bool training = false;
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  /// Keyed by (seed, node, purpose, step).
  Random random(std::string_view purpose) const {
    return Random::keyed(seed, node->name, purpose, static_cast<std::uint64_t>(step));
  }
};

/// A custom node in the builder's own operations, with the numbers of what was built.
struct CustomLowering {
  Value output;
  /// Contents of every parameter of the built nodes, by full name ("conv.weight"): float32.
  std::map<std::string, at::Tensor> tensors;
};

/// Passed to GraphBuilder::custom(). It must not keep state between calls: tensors that persist are
/// declared by parameters(). It trains and evaluates like any node. A packed file has it where
/// lower() gives its operations; `qhost export` names a node that has none.
///
/// type(), infer() and macs() run once, while the graph is built, parameters() also before lower().
/// What infer() and parameters() may throw is in qhost/graph.h: exit code 2.
class QHOST_API CustomOp : public CustomOpBase {
 public:
  ~CustomOp() override;
  /// `inputs` are batches [N, ...]; `parameters` in the order of parameters(). Differentiable; the
  /// result has the shape that infer() gave, behind N. It must not change its arguments.
  ///
  /// Tensors lie on the device of the run. Inputs are contiguous or channels_last
  /// (train.channels_last of four dimensions), float32, or in the training of a bf16 run bfloat16;
  /// parameters are float32. In such a run autocast is on and chooses the type of each operation;
  /// the result may be of either.
  ///
  /// A qhost::Error keeps its text and ends with the exit code of its kind, running out of memory
  /// ends with 1, and any other exception with 3, a defect of the plugin, under the node's name.
  /// The host makes one call at a time for each model; the backward pass may run on a thread of
  /// LibTorch's. Several models may use one object at the same time.
  virtual at::Tensor forward(const CustomContext& context, const std::vector<at::Tensor>& inputs,
                             const std::vector<at::Tensor>& parameters) const = 0;

  /// What forward() computes in evaluation, in the builder's operations, for a packed file. Builds
  /// it with `g` from `inputs`, whose shapes are those of infer(), all of which it must read; the
  /// output has the shape that infer() gave. `parameters` are trained ones, as forward() gets them,
  /// on the CPU. A gain for each channel, say, is a depthwise convolution of one pixel:
  ///
  ///     const std::int64_t channels = inputs[0].shape().channels();
  ///     const Value y = g.conv2d("gain", inputs[0],
  ///                              {.out_channels = channels, .kernel = 1, .groups = channels});
  ///     return CustomLowering{y, {{"gain.weight", gain.reshape({channels, 1, 1, 1})}}};
  ///
  /// `qhost verify` compares both. The default gives none. Exceptions end as those of forward().
  virtual std::optional<CustomLowering> lower(GraphBuilder& g, const std::vector<Value>& inputs,
                                              const std::vector<at::Tensor>& parameters) const;
};

}  // namespace qhost
