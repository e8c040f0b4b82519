/// report/score_rules.h: the scoring rules that qhost knows, by name, and what they compare with.
///
/// Every rule is a sum of two ratios, lower is better:
///     score = storage / reference.parameters + operations / reference.operations
/// where a value or operation of b bits counts b/32. They differ in what they count; report/score.h
/// has the formulas. A name stands for one reading: where a source can be read in two ways, each
/// way is a rule of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qhost::report {

enum class ScoreRule {
  micronet,             ///< integer sums at the width of one accumulator for the whole sum
  micronet_adder_tree,  ///< integer sums by a tree of adders that grow a bit a level
  micronet_float_adds,  ///< every add at 32 bits
  course,               ///< w counts the learned values as they are trained
  course_folded,        ///< w counts what is left when batch norm is folded into the layers
  course2021_readme,    ///< multiplies and adds of a layer both at its largest width
  course2021_script,    ///< only multiplies at the weights' width; a ReLU is an operation
  course2021_script_functional,  ///< the same, ReLUs and average pooling as calls it cannot see
};

/// What a rule holds a network of one data set against.
struct ScoreReference {
  std::string data_set;      ///< as in `[data] name`
  std::int64_t classes = 0;  ///< of the whole set: a subset does not qualify
  std::string network;       ///< "ResNet18 at 16 bits"
  double parameters = 0;     ///< of 32 bits
  double operations = 0;     ///< of 32 bits
  double threshold = 0;      ///< accuracy that a network needs to take part, a fraction of one
};

struct ScoreRuleInfo {
  ScoreRule rule;
  std::string name;     ///< "course2021-readme"
  std::string summary;  ///< one line
  std::string source;   ///< where the rule stands
  std::vector<ScoreReference> references;
};

/// All rules, in the order of the enumeration.
const std::vector<ScoreRuleInfo>& score_rules();
const ScoreRuleInfo& info(ScoreRule rule);
/// "micronet, micronet-adder-tree, ..."
std::string score_rule_names();
/// Throws Error (configuration) with the near match, or all names.
ScoreRule parse_score_rule(std::string_view name);

/// A network as if every weight had `weight_bits` and every input `input_bits`: 1 is a sign, 16 and
/// 32 are floats, all others integers.
struct UniformBits {
  int weight_bits = 32, input_bits = 32;
  bool operator==(const UniformBits&) const = default;
};
/// "8,4" -> {8, 4}. Throws Error (configuration) unless it is two whole numbers from 1 to 32.
UniformBits parse_uniform(std::string_view text);

}  // namespace qhost::report
