/// Which inputs a method takes: those of layers with a weight always, the others by option.
#pragma once

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::ptq {

inline Option joins_option() {
  return Option::boolean("joins", true, "the inputs of additions and concatenations, too");
}

inline Option pools_option() {
  return Option::boolean("pools", true, "the inputs of poolings, too");
}

inline bool takes_input(Op op, bool joins, bool pools) {
  switch (op) {
    case Op::conv2d:
    case Op::linear:
      return true;
    case Op::add:
    case Op::concat:
      return joins;
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
      return pools;
    default:
      return false;
  }
}

}  // namespace qhost::ptq
