/// qhost/custom.h: a graph node with a differentiable forward of its author's own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
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

/// Passed to GraphBuilder::custom(). It must not keep state between calls: tensors that persist are
/// declared by parameters(). It trains and evaluates like any node; what cannot lower it to the
/// packed engine says so by the node's name.
class QHOST_API CustomOp : public CustomOpBase {
 public:
  ~CustomOp() override;
  /// `inputs` are batches [N, ...]; `parameters` in the order of parameters(). Differentiable.
  virtual at::Tensor forward(const CustomContext& context, const std::vector<at::Tensor>& inputs,
                             const std::vector<at::Tensor>& parameters) const = 0;
};

}  // namespace qhost
