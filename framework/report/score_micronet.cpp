#include <algorithm>
#include <cmath>

#include "report/score_network.h"

namespace qhost::report {
namespace {

using Kind = Operand::Kind;

/// Counts one node; `real` is the width of a float: 32, or 16 under the freebie.
class MicronetCount {
 public:
  MicronetCount(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule, bool freebie,
                ScoreLayer& layer)
      : network_(network), node_(node), rule_(rule), real_(freebie ? 16 : 32), layer_(layer) {}

  void count() {
    store_input_coding();
    if (node_.has_weight) {
      store_weights();
      store_weight_coding();
      compute_products();
      compute_position_factor();
      compute("scale", has_scale() ? node_.outputs() : 0, 32);
      compute("bias", has_shift() ? node_.outputs() : 0, 32);
    } else {
      count_other();
    }
  }

 private:
  double of_real(double bits) const { return std::min(bits, real_); }

  void store(const char* what, double count, double bits) {
    if (count > 0) layer_.stored.push_back({what, count, bits});
  }
  void compute(const char* what, double count, double bits) {
    if (count > 0) layer_.computed.push_back({what, count * node_.networks, bits});
  }

  void store_weights() {
    const Operand& weight = node_.weight;
    const double bits = weight.is_real() ? of_real(weight.bits) : weight.bits;
    // Beside a mask the sign alone is left of a ternary weight.
    const double bits_of_nonzero = weight.kind == Kind::ternary ? 1 : bits;
    const double masked = node_.nonzero * bits_of_nonzero + node_.mask_bits;
    if (node_.mask_bits > 0 && masked < node_.weights * bits) {
      store("non-zero weights", node_.nonzero * weight.ensemble_size, bits_of_nonzero);
      store("mask", node_.mask_bits * weight.ensemble_size, 1);
    } else {
      store("weights", node_.weights * weight.ensemble_size, bits);
    }
  }

  /// Scales, zero points and tables as a tensor of `channels` stores them.
  void store_coding(const Operand& operand, double scales, double channels, const char* what) {
    double values = scales;
    if (operand.zero_point == ZeroPointKind::tensor) values += 1;
    if (operand.zero_point == ZeroPointKind::channel) values += channels;
    if (operand.kind == Kind::table) {
      values += std::exp2(operand.bits) * (operand.table_per_channel ? channels : 1);
    }
    store(what, values, real_);
  }

  static double scales_of(const Operand& operand, double channels) {
    if (operand.scale == ScaleKind::tensor) return 1;
    return operand.scale == ScaleKind::channel ? channels : 0;
  }

  void store_input_coding() {
    const double channels = static_cast<double>(network_.input_shape(node_).channels());
    store_coding(node_.input, scales_of(node_.input, channels), channels, "coding of the input");
  }

  void store_weight_coding() {
    const double channels = node_.channels();
    double scales = node_.takes_batch_norm ? channels : scales_of(node_.weight, channels);
    if (node_.weight_absorbs_scale()) scales = 0;
    store_coding(node_.weight, scales, channels, "coding of the weights");
    store("biases", has_shift() ? channels : 0, real_);
  }

  bool has_scale() const {
    if (node_.weight_absorbs_scale()) return false;
    return node_.takes_batch_norm || node_.weight.scale != ScaleKind::none ||
           node_.input.scale == ScaleKind::tensor || node_.input.scale == ScaleKind::channel;
  }
  /// An input's zero point times the weights is a constant: part of the bias.
  bool has_shift() const {
    return node_.has_bias() || node_.takes_batch_norm ||
           node_.input.zero_point != ZeroPointKind::none;
  }

  double multiply_bits() const {
    const Operand& weight = node_.weight;
    const Operand& input = node_.input;
    const bool is_sign = weight.kind == Kind::sign || weight.kind == Kind::ternary;
    if (is_sign && input.multiplies_as_float()) return 1;
    const auto bits = [&](const Operand& operand) {
      return operand.kind == Kind::table ? 32
             : operand.is_real()         ? of_real(operand.bits)
                                         : operand.bits;
    };
    return std::max(is_sign ? 1 : bits(weight), bits(input));
  }

  static double largest_level(const Operand& operand, double magnitude_bits) {
    if (operand.kind != Kind::integer) return 1;
    return std::max(1.0, std::exp2(magnitude_bits) - 1);
  }

  double accumulator_bits(double terms) const {
    const double largest = largest_level(node_.weight, node_.weight.bits - 1) *
                           largest_level(node_.input, node_.input.bits) * terms;
    return std::min(32.0, std::floor(std::log2(std::max(1.0, largest))) + 1);
  }

  /// The mean over the tree's levels of the width that their adders read.
  double tree_bits(double terms) const {
    const bool is_signed = node_.input.kind != Kind::integer;
    double bits = node_.weight.bits + node_.input.bits - (is_signed ? 1 : 0);
    double adders = 0, sum = 0;
    for (double left = std::ceil(terms); left > 1; left = std::ceil(left / 2), ++bits) {
      adders += std::floor(left / 2);
      sum += std::floor(left / 2) * std::min(32.0, bits);
    }
    return adders > 0 ? sum / adders : bits;
  }

  double add_bits(double terms) const {
    if (node_.weight.multiplies_as_float() || node_.input.multiplies_as_float()) return 32;
    switch (rule_) {
      case ScoreRule::micronet:
        return accumulator_bits(terms);
      case ScoreRule::micronet_adder_tree:
        return tree_bits(terms);
      default:
        return 32;
    }
  }

  void compute_products() {
    const double positions = node_.outputs() / node_.channels();
    const double products = positions * node_.nonzero;
    compute("multiply", products, multiply_bits());
    // A filter whose weights are all zero adds nothing, and no less than nothing.
    compute("add", std::max(0.0, products - node_.outputs()),
            add_bits(node_.nonzero / node_.channels()));
  }

  void compute_position_factor() {
    if (node_.input.scale != ScaleKind::position) return;
    const double inputs = static_cast<double>(network_.input_shape(node_).elements());
    const double pixels = inputs / static_cast<double>(network_.input_shape(node_).channels());
    const double positions = node_.outputs() / node_.channels();
    double window = 1;
    if (node_.node->op == Op::conv2d) {
      const Size2& kernel = node_.node->as<Conv2dOptions>().kernel;
      window = static_cast<double>(kernel.height * kernel.width);
    }
    compute("factor of a position",
            inputs + (inputs - pixels) + positions * window + node_.outputs(), 32);
  }

  void count_other() {
    const double outputs = node_.outputs();
    const double bits = node_.input.is_real() ? of_real(node_.input.bits) : node_.input.bits;
    // Adds of floats stay at 32 bits under the freebie.
    const double wide = node_.input.is_real() ? 32 : node_.input.bits;
    const auto both = [&](double multiplies, double adds) {
      compute("multiply", multiplies, bits);
      compute("add", adds, wide);
    };
    const auto window = [](const PoolOptions& pool) {
      return static_cast<double>(pool.kernel.height * pool.kernel.width);
    };
    switch (node_.node->op) {
      case Op::batch_norm:
        if (node_.folded_away) return;
        store("scales and shifts", 2 * node_.channels(), real_);
        return both(outputs, outputs);
      case Op::activation:
        return node_.unread ? void() : count_activation(both);
      case Op::add:
        return both(0, outputs);
      case Op::max_pool:
        return both(outputs * (window(node_.node->as<PoolOptions>()) - 1), 0);
      case Op::average_pool:
        return both(outputs, outputs * (window(node_.node->as<PoolOptions>()) - 1));
      case Op::global_average_pool: {
        const double inputs = static_cast<double>(network_.input_shape(node_).elements());
        return both(outputs, inputs - outputs);
      }
      case Op::custom: {
        store("values", static_cast<double>(node_.layer.parameters + node_.layer.buffers), real_);
        const double macs = static_cast<double>(node_.layer.macs);
        return both(macs, macs);
      }
      default:  // concatenation, flattening, subsampling move values; dropout does nothing
        return;
    }
  }

  template <class Both>
  void count_activation(const Both& both) {
    const double n = node_.outputs();
    switch (node_.node->as<ActivationOptions>().kind) {
      case Activation::relu:
      case Activation::tanh:
        return both(n, 0);
      case Activation::relu6:
      case Activation::hardtanh:
      case Activation::leaky_relu:
        return both(2 * n, 0);
      case Activation::sigmoid:
        return both(2 * n, n);
      case Activation::silu:
        return both(3 * n, n);
      case Activation::gelu:
        return both(4 * n, n);
    }
  }

  const ScoredNetwork& network_;
  const ScoredNode& node_;
  ScoreRule rule_;
  double real_;
  ScoreLayer& layer_;
};

}  // namespace

void count_micronet(const ScoredNetwork& network, const ScoredNode& node, ScoreRule rule,
                    bool freebie, ScoreLayer& layer) {
  MicronetCount(network, node, rule, freebie, layer).count();
}

}  // namespace qhost::report
