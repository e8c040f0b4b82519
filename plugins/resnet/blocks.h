/// The residual blocks of resnet.h.
///
/// A *unit* is a chain of convolutions with one shortcut around it. A block kind divides the
/// block's two convolutions into units: the basic block is one unit of two. (A kind that keeps
/// a real-valued shortcut around each convolution is two units of one.)
#pragma once

#include <vector>

#include "qhost/graph.h"

namespace qhost::resnet {

enum class Shortcut { a, b };

/// What all blocks of a network share.
struct BlockKind {
  std::vector<int> units = {2};  ///< convolutions in each unit
  bool preactivation = false;    ///< batch norm and ReLU before each convolution, not after
  Shortcut shortcut = Shortcut::a;
  Initialisation init = Initialisation::kaiming_normal_fan_in;
};

/// One block in the open scope; `stride` is that of its first convolution.
Value block(GraphBuilder& g, Value x, const BlockKind& kind, std::int64_t width,
            std::int64_t stride);

/// A 3x3 convolution without bias that keeps the size at stride 1.
Value conv3x3(GraphBuilder& g, const std::string& name, Value x, std::int64_t width,
              std::int64_t stride, Initialisation init);

}  // namespace qhost::resnet
