#include <algorithm>

#include "report/score_network.h"

namespace qhost::report {
namespace {

// The bits of values that are not weights: biases, batch norm, custom nodes.
double other_bits(const ScoredNetwork& network) {
  return network.uniform ? network.uniform->weight_bits : 32;
}

double width(const ScoredNetwork& network, const ScoredNode& node) {
  if (network.uniform) return std::max(network.uniform->weight_bits, network.uniform->input_bits);
  return node.has_weight ? std::max(node.weight.bits, node.input.bits) : node.input.bits;
}

void store(ScoreLayer& layer, const std::string& what, double count, double bits) {
  if (count > 0) layer.stored.push_back({what, count, bits});
}

void store_weights(const ScoredNode& node, ScoreLayer& layer) {
  if (!node.has_weight) return;
  store(layer, "weights", node.nonzero * node.weight.ensemble_size, node.weight.bits);
}

// All learned values, batch norm not folded.
void store_learned(const ScoredNetwork& network, const ScoredNode& node, ScoreLayer& layer) {
  store_weights(node, layer);
  const char* what = node.has_weight                   ? "biases"
                     : node.node->op == Op::batch_norm ? "gamma and beta"
                                                       : "learned values";
  const double added = node.layer.added_bias ? node.channels() : 0;
  store(layer, what, static_cast<double>(node.layer.parameters) - node.weights + added,
        other_bits(network));
}

void store_folded(const ScoredNetwork& network, const ScoredNode& node, ScoreLayer& layer) {
  const double bits = other_bits(network);
  if (node.has_weight) {
    store_weights(node, layer);
    if (node.takes_batch_norm && !node.weight_absorbs_scale()) {
      store(layer, "scales", node.channels(), bits);
    }
    if (node.takes_batch_norm || node.has_bias) store(layer, "biases", node.channels(), bits);
  } else if (node.node->op == Op::batch_norm) {
    if (node.runs) store(layer, "scales and shifts", 2 * node.channels(), bits);
  } else {
    store(layer, "learned values", static_cast<double>(node.layer.parameters), bits);
  }
}

void compute_macs(const ScoredNetwork& network, const ScoredNode& node, ScoreLayer& layer) {
  const double macs = static_cast<double>(node.layer.macs) * node.networks;
  if (macs > 0) layer.computed.push_back({"multiply-accumulate", macs, width(network, node)});
}

// The operations that the script of 2021 counts, not weighted by bits.
struct ScriptCount {
  double multiplies = 0, adds = 0, others = 0;
};

ScriptCount script_count(const ScoredNetwork& network, const ScoredNode& node, bool modules) {
  const double outputs = node.outputs();
  const double inputs = static_cast<double>(network.input_shape(node).channels());
  switch (node.node->op) {
    case Op::conv2d: {
      const auto& options = node.node->as<Conv2dOptions>();
      const double groups = static_cast<double>(options.groups);
      const double products =
          static_cast<double>(options.kernel.height * options.kernel.width) * inputs;
      return {.multiplies = outputs * products / groups,
              .adds = outputs * ((products - 1) / groups + (node.has_bias ? 1 : 0))};
    }
    case Op::linear:  // its bias is not counted
      return {.multiplies = outputs * inputs, .adds = outputs * (inputs - 1)};
    case Op::batch_norm:
      return {.others = 3 * outputs};
    case Op::activation: {
      const bool relu = node.node->as<ActivationOptions>().kind == Activation::relu;
      return {.others = modules && relu && node.runs ? outputs : 0};
    }
    case Op::average_pool:
      return {.others = modules ? outputs * static_cast<double>(
                                                node.node->as<PoolOptions>().kernel.height)
                                : 0};
    default:
      return {};
  }
}

void compute_script(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule,
                    ScoreLayer& layer) {
  const bool readme = rule == ScoreRule::course2021_readme;
  const ScriptCount count =
      script_count(network, node, rule != ScoreRule::course2021_script_functional);
  const double wide = readme ? width(network, node) : 32;
  const auto compute = [&](const char* what, double number, double bits) {
    if (number > 0) layer.computed.push_back({what, number * node.networks, bits});
  };
  compute("multiply", count.multiplies, readme ? wide : node.weight.bits);
  compute("add", count.adds, wide);
  compute("operation", count.others, wide);
}

}  // namespace

void count_course(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule,
                  ScoreLayer& layer) {
  if (rule == ScoreRule::course_folded) {
    store_folded(network, node, layer);
  } else {
    store_learned(network, node, layer);
  }
  if (rule == ScoreRule::course || rule == ScoreRule::course_folded) {
    compute_macs(network, node, layer);
  } else {
    compute_script(network, node, rule, layer);
  }
}

}  // namespace qhost::report
