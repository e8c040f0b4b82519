// Names of operations, activations and initializations.
#include "qhost/graph.h"

namespace qhost {

const char* to_string(Op op) {
  switch (op) {
    case Op::input:
      return "input";
    case Op::conv2d:
      return "conv2d";
    case Op::linear:
      return "linear";
    case Op::batch_norm:
      return "batch_norm";
    case Op::activation:
      return "activation";
    case Op::add:
      return "add";
    case Op::concat:
      return "concat";
    case Op::max_pool:
      return "max_pool";
    case Op::average_pool:
      return "average_pool";
    case Op::global_average_pool:
      return "global_average_pool";
    case Op::dropout:
      return "dropout";
    case Op::subsample:
      return "subsample";
    case Op::flatten:
      return "flatten";
    case Op::custom:
      return "custom";
  }
  return "unknown operation";
}

const char* to_string(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::relu6:
      return "relu6";
    case Activation::leaky_relu:
      return "leaky_relu";
    case Activation::hardtanh:
      return "hardtanh";
    case Activation::tanh:
      return "tanh";
    case Activation::sigmoid:
      return "sigmoid";
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
  }
  return "unknown activation";
}

const char* to_string(Initialization initialization) {
  switch (initialization) {
    case Initialization::kaiming_normal_fan_out:
      return "kaiming_normal_fan_out";
    case Initialization::kaiming_normal_fan_in:
      return "kaiming_normal_fan_in";
    case Initialization::kaiming_uniform_fan_in:
      return "kaiming_uniform_fan_in";
    case Initialization::torch_default:
      return "torch_default";
    case Initialization::glorot_uniform:
      return "glorot_uniform";
    case Initialization::zeros:
      return "zeros";
    case Initialization::ones:
      return "ones";
  }
  return "unknown initialization";
}

}  // namespace qhost
