/// sdk/src/describe.h: graphs and nodes as text.
#pragma once

#include <string>

#include "qhost/graph.h"

namespace qhost {

/// One node per line with all attributes, so that equal texts mean equal graphs:
///   conv1 = conv2d(out_channels 16, kernel 3x3, stride 1x1, padding 1x1, groups 1, bias false,
///           init kaiming_normal_fan_out) input -> [N,16,32,32]     (in one line)
/// The last line is "output NAME". Source lines are not part of the text.
std::string to_text(const Graph& graph);

/// A short description of a node's operation: "conv2d 3x3 stride 1", "relu", "max_pool 2x2 stride
/// 2".
std::string describe(const Node& node);
/// "relu" for an activation, the author's type for a custom node, else the name of the operation.
std::string operation_name(const Node& node);

/// "3x3"; height first.
std::string to_string(const Size2& size);
/// The shortest decimal text that converts back to the same double: "0.1", "1e-05".
std::string number_text(double value);

}  // namespace qhost
