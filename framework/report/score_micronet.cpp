#include <algorithm>
#include <cmath>

#include "report/score_micronet.h"
#include "report/score_network.h"

namespace qhost::report {
namespace {

using Kind = Operand::Kind;

/// Counts one node with a weight, or hands it on.
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
      count_without_weight(network_, node_, real_, layer_);
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
    return node_.has_bias || node_.takes_batch_norm ||
           node_.input.zero_point != ZeroPointKind::none;
  }

  void compute_products() {
    const double positions = node_.outputs() / node_.channels();
    const double products = positions * node_.nonzero;
    compute("multiply", products, multiply_bits(node_, real_));
    // A filter whose weights are all zero adds nothing, and no less than nothing.
    compute("add", std::max(0.0, products - node_.outputs()),
            add_bits(node_, rule_, node_.nonzero / node_.channels()));
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
