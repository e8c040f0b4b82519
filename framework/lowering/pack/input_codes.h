/// lowering/pack/input_codes.h: what a quantizer does to an input, as thresholds.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "packed/program.h"

namespace qhost {

/// code(x) = number of j with x >= thresholds[c][j]; or with `rounding` the value itself is rounded
/// to float16 or bfloat16, and there are no codes.
struct InputCodes {
  packed::Codes codes;
  /// [n], or [C, n] where the channels differ; n = codes.count() - 1. Ascending; -infinity for a
  /// threshold that every value reaches, +infinity for one that none does.
  std::vector<float> thresholds;
  CodeKind rounding = CodeKind::float32;
  bool position = false;  ///< the node's output has a factor per position: see packed/program.h
  /// Why the quantizer is no such function, one sentence, and what to do about it; "" if it is.
  std::string refusal, help;

  bool operator==(const InputCodes&) const = default;
};

/// By the name of the node and the index of its edge.
using InputCodesByEdge = std::map<std::pair<std::string, std::size_t>, InputCodes>;

}  // namespace qhost
