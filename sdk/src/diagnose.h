/// diagnose.h: the common form of all errors about a node.
///
///     wrn.cpp:41:12: error: stage2.block0.add: shapes differ in channels: 64 and 32
///       a = stage2.block0.conv2  conv2d 3x3 stride 1  -> [N,64,16,16]  wrn.cpp:36
///       b = stage2.block0.input  relu                 -> [N,32,16,16]  wrn.cpp:29
///     help: the shortcut needs a 1x1 convolution to 64 channels
///
/// The operation in parentheses follows the node's path, unless the node's name shows it:
/// "stage2.block0.join (add): ...".
#pragma once

#include <string>
#include <vector>

#include "qhost/error.h"
#include "qhost/graph.h"

namespace qhost {

/// A place in an architecture's source.
struct SourcePlace {
  std::string file;
  int line = 0, column = 0;
};
inline SourcePlace place_of(const Node& node) {
  return {node.file, node.line, node.column};
}

/// One line of an error: an involved node, under the name that it has in the call.
struct Operand {
  std::string label;           ///< "x", "a", "inputs[2]"
  const Node* node = nullptr;  ///< null: there is no node
  std::string absent;          ///< the text for a missing node
};

/// `path` is the name with its scopes; `operation` is "add", or "" to leave it out. Control
/// characters in any text become '?'.
Error node_error(const SourcePlace& place, const std::string& path, const std::string& operation,
                 const std::string& sentence, const std::vector<Operand>& operands,
                 const std::string& help);

}  // namespace qhost
