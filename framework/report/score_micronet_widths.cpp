// How wide the multiplies and adds of a weighted node are under the micronet rules.
#include <algorithm>
#include <cmath>

#include "report/score_micronet.h"

namespace qhost::report {
namespace {

using Kind = Operand::Kind;

double largest_level(const Operand& operand, double magnitude_bits) {
  if (operand.kind != Kind::integer) return 1;
  return std::max(1.0, std::exp2(magnitude_bits) - 1);
}

/// One accumulator, wide enough for the largest sum.
double accumulator_bits(const ScoredNode& node, double terms) {
  const double largest = largest_level(node.weight, node.weight.bits - 1) *
                         largest_level(node.input, node.input.bits) * terms;
  return std::min(32.0, std::floor(std::log2(std::max(1.0, largest))) + 1);
}

/// The mean over the tree's levels of the width that their adders read.
double tree_bits(const ScoredNode& node, double terms) {
  const bool is_signed = node.input.kind != Kind::integer;
  double bits = node.weight.bits + node.input.bits - (is_signed ? 1 : 0);
  double adders = 0, sum = 0;
  for (double left = std::ceil(terms); left > 1; left = std::ceil(left / 2), ++bits) {
    adders += std::floor(left / 2);
    sum += std::floor(left / 2) * std::min(32.0, bits);
  }
  return adders > 0 ? sum / adders : bits;
}

double factor_bits(const Operand& operand, double real) {
  if (operand.kind == Kind::table) return 32;
  return operand.is_real() ? std::min(operand.bits, real) : operand.bits;
}

}  // namespace

double multiply_bits(const ScoredNode& node, double real) {
  const bool is_sign = node.weight.kind == Kind::sign || node.weight.kind == Kind::ternary;
  if (is_sign && node.input.multiplies_as_float()) return 1;
  return std::max(is_sign ? 1 : factor_bits(node.weight, real), factor_bits(node.input, real));
}

double add_bits(const ScoredNode& node, ScoreRule rule, double terms) {
  if (node.weight.multiplies_as_float() || node.input.multiplies_as_float()) return 32;
  switch (rule) {
    case ScoreRule::micronet:
      return accumulator_bits(node, terms);
    case ScoreRule::micronet_adder_tree:
      return tree_bits(node, terms);
    default:
      return 32;
  }
}

}  // namespace qhost::report
