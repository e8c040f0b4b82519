#include "report/score_rules.h"

#include <charconv>

#include "common/near_match.h"
#include "qhost/error.h"

namespace qhost::report {
namespace {

std::vector<ScoreReference> micronet_references() {
  return {{.data_set = "cifar100",
           .classes = 100,
           .network = "WRN-28-10 at 32 bits",
           .parameters = 36.5e6,
           .operations = 10.49e9,
           .threshold = 0.8}};
}

std::vector<ScoreReference> course_references() {
  return {{.data_set = "cifar10",
           .classes = 10,
           .network = "ResNet18 at 16 bits",
           .parameters = 5.6e6,
           .operations = 2.8e8,
           .threshold = 0.9}};
}

std::vector<ScoreReference> course2021_references() {
  std::vector<ScoreReference> references = micronet_references();
  references.insert(references.begin(), {.data_set = "cifar10",
                                         .classes = 10,
                                         .network = "ResNet18 at 16 bits",
                                         .parameters = 5586981,
                                         .operations = 834362880,
                                         .threshold = 0.9});
  return references;
}

std::vector<ScoreRuleInfo> make_rules() {
  const std::string micronet = "MicroNet Challenge 2019, final rules";
  const std::string course = "brain-bzh/efficient-deep-learning, lab4.md of 2025-02-26";
  const std::string readme =
      "brain-bzh/efficient-deep-learning, micronet-ressources/readme_score.md";
  const std::string script = "brain-bzh/efficient-deep-learning, micronet-ressources/profile.py";
  return {
      {ScoreRule::micronet, "micronet",
       "MicroNet 2019: everything stored, multiplies and adds; integers add up in one accumulator",
       micronet, micronet_references()},
      {ScoreRule::micronet_adder_tree, "micronet-adder-tree",
       "MicroNet 2019 with a tree of adders, a bit wider at each level", micronet,
       micronet_references()},
      {ScoreRule::micronet_float_adds, "micronet-float-adds",
       "MicroNet 2019 with every add at 32 bits", micronet, micronet_references()},
      {ScoreRule::course, "course",
       "the course since 2025: weights and multiply-accumulates, batch norm's learned values "
       "among the weights",
       course, course_references()},
      {ScoreRule::course_folded, "course-folded",
       "the same with batch norm folded into the layers before the weights are counted", course,
       course_references()},
      {ScoreRule::course2021_readme, "course2021-readme",
       "the course of 2021 to 2024 as its text has it: every operation at its largest width",
       readme, course2021_references()},
      {ScoreRule::course2021_script, "course2021-script",
       "the course of 2021 to 2024 as its script counts: only multiplies get cheaper", script,
       course2021_references()},
      {ScoreRule::course2021_script_functional, "course2021-script-functional",
       "that script on a network whose ReLUs and pooling are function calls, as the reference's",
       script, course2021_references()},
  };
}

bool parse_bits(std::string_view text, int& bits) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  return error == std::errc() && end == text.data() + text.size() && bits >= 1 && bits <= 32;
}

}  // namespace

const std::vector<ScoreRuleInfo>& score_rules() {
  static const std::vector<ScoreRuleInfo> rules = make_rules();
  return rules;
}

const ScoreRuleInfo& info(ScoreRule rule) {
  return score_rules().at(static_cast<std::size_t>(rule));
}

std::string score_rule_names() {
  std::string names;
  for (const ScoreRuleInfo& rule : score_rules()) names += (names.empty() ? "" : ", ") + rule.name;
  return names;
}

ScoreRule parse_score_rule(std::string_view name) {
  std::vector<std::string> names;
  for (const ScoreRuleInfo& rule : score_rules()) {
    if (rule.name == name) return rule.rule;
    names.push_back(rule.name);
  }
  const auto near = near_matches(name, names);
  throw Error(ErrorKind::configuration, "there is no scoring rule `" + std::string(name) + "`",
              (near.empty() ? "" : "did you mean `" + near.front() + "`? ") + "the rules are " +
                  score_rule_names());
}

UniformBits parse_uniform(std::string_view text) {
  UniformBits bits;
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos || !parse_bits(text.substr(0, comma), bits.weight_bits) ||
      !parse_bits(text.substr(comma + 1), bits.input_bits)) {
    throw Error(ErrorKind::configuration,
                "--uniform takes the bits of weights and of inputs, two whole numbers from 1 to 32 "
                "with a comma between them; found `" +
                    std::string(text) + "`",
                "--uniform 8,8; 1,32 is binary weights with float inputs");
  }
  return bits;
}

}  // namespace qhost::report
