/// The residual blocks of resnet.h.
///
/// A *unit* is a chain of convolutions with one shortcut around it. A block kind divides the
/// block's two convolutions into units: the basic block is one unit of two, the Bi-Real block two
/// units of one.
#pragma once

#include <string>
#include <vector>

#include "qhost/graph.h"
#include "qhost/options.h"

namespace qhost::resnet {

enum class Shortcut { a, b };

/// That of resnet.h's options, "auto" resolved.
Shortcut shortcut_of(const Options& options);

/// The order of convolution (C), batch norm (B) and activation (A) in a unit.
enum class Order {
  c_b_a,  ///< the last activation stands behind the addition (1512.03385)
  b_a_c,  ///< nothing behind the addition (1603.05027; for binary networks 1603.05279)
  a_c_b,  ///< nothing behind the addition (1808.00278)
};

/// What all blocks of a network share.
struct BlockKind {
  std::vector<int> units = {2};  ///< convolutions in each unit
  Order order = Order::c_b_a;
  Shortcut shortcut = Shortcut::a;
  /// The shortcut reads what the unit reads, never an activation of the unit, and B takes means of
  /// pixels instead of leaving pixels out.
  bool real_shortcut = false;
  Activation activation = Activation::relu;
  Initialization init = Initialization::kaiming_normal_fan_in;
};

/// One block in the open scope; `stride` is that of its first convolution.
Value block(GraphBuilder& g, Value x, const BlockKind& kind, std::int64_t width,
            std::int64_t stride);

/// A 3x3 convolution without bias that keeps the size at stride 1.
Value conv3x3(GraphBuilder& g, const std::string& name, Value x, std::int64_t width,
              std::int64_t stride, Initialization init);

/// The activation, named after its kind: relu1, hardtanh1.
Value activate(GraphBuilder& g, Value x, Activation kind, const std::string& number);

}  // namespace qhost::resnet
