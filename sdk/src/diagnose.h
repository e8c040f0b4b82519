/// diagnose.h: the one form of every error about a node.
///
///     wrn.cpp:41:12: error: stage2.block0.add: shapes differ in channels: 64 and 32
///       a = stage2.block0.conv2  conv2d 3x3 stride 1  -> [N,64,16,16]  wrn.cpp:36
///       b = stage2.block0.input  relu                 -> [N,32,16,16]  wrn.cpp:29
///     help: the shortcut needs a 1x1 convolution to 64 channels
///
/// The node's operation follows its path in parentheses unless its own name shows it:
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

/// One line of an error: a node that takes part, under the name by which the call knows it.
struct Operand {
  std::string label;           ///< "x", "a", "inputs[2]"
  const Node* node = nullptr;  ///< null: there is none
  std::string absent;          ///< what stands in the place of a missing node
};

/// `path`: scoped name; `operation`: "add", or "" to leave it out. Control characters in any text
/// become '?'.
Error node_error(const SourcePlace& place, const std::string& path, const std::string& operation,
                 const std::string& sentence, const std::vector<Operand>& operands,
                 const std::string& help);

}  // namespace qhost
