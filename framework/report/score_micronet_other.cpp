// What a node without a weight stores and computes under the micronet rules.
#include <algorithm>

#include "report/score_micronet.h"

namespace qhost::report {
namespace {

struct Operations {
  double multiplies = 0, adds = 0;
};

/// Of one value.
Operations of_activation(Activation kind) {
  switch (kind) {
    case Activation::relu:
    case Activation::tanh:
      return {1, 0};
    case Activation::relu6:
    case Activation::hardtanh:
    case Activation::leaky_relu:
      return {2, 0};
    case Activation::sigmoid:
      return {2, 1};
    case Activation::silu:
      return {3, 1};
    case Activation::gelu:
      return {4, 1};
  }
  return {};
}

double window(const ScoredNode& node) {
  const Size2& kernel = node.node->as<PoolOptions>().kernel;
  return static_cast<double>(kernel.height * kernel.width);
}

Operations operations_of(const ScoredNetwork& network, const ScoredNode& node) {
  const double outputs = node.outputs();
  switch (node.node->op) {
    case Op::batch_norm:
      return {outputs, outputs};
    case Op::activation: {
      const Operations one = of_activation(node.node->as<ActivationOptions>().kind);
      return {one.multiplies * outputs, one.adds * outputs};
    }
    case Op::add:
      return {0, outputs};
    case Op::max_pool:
      return {outputs * (window(node) - 1), 0};
    case Op::average_pool:
      return {outputs, outputs * (window(node) - 1)};
    case Op::global_average_pool: {
      const double inputs = static_cast<double>(network.input_shape(node).elements());
      return {outputs, inputs - outputs};
    }
    case Op::custom: {
      const double macs = static_cast<double>(node.layer.macs);
      return {macs, macs};
    }
    default:  // concatenation, flattening, subsampling move values; dropout does nothing
      return {};
  }
}

}  // namespace

void count_without_weight(const ScoredNetwork& network, const ScoredNode& node, double real,
                          ScoreLayer& layer) {
  if (!node.runs) return;
  const auto store = [&](const char* what, double count) {
    if (count > 0) layer.stored.push_back({what, count, real});
  };
  if (node.node->op == Op::batch_norm) store("scales and shifts", 2 * node.channels());
  if (node.node->op == Op::custom) {
    store("values", static_cast<double>(node.layer.parameters + node.layer.buffers));
  }
  const auto compute = [&](const char* what, double count, double bits) {
    if (count > 0) layer.computed.push_back({what, count * node.networks, bits});
  };
  const bool is_real = node.input.is_real();
  const Operations operations = operations_of(network, node);
  compute("multiply", operations.multiplies,
          is_real ? std::min(node.input.bits, real) : node.input.bits);
  // Adds of floats stay at 32 bits under the freebie.
  compute("add", operations.adds, is_real ? 32 : node.input.bits);
}

}  // namespace qhost::report
