/// model/plan.h: which (node, role) is quantized by which method: the experiment's rules, resolved.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/relu_elision.h"
#include "qhost/error.h"
#include "qhost/graph.h"
#include "qhost/quantizer.h"

namespace qhost {

/// One configured rule, as the experiment wrote it.
struct MethodRule {
  std::string method;                       ///< name of the QuantizerMethod
  std::shared_ptr<Quantizer> quantizer;     ///< null: `none`, which keeps its layers float
  std::vector<Role> offers;                 ///< QuantizerMethod::roles
  std::vector<std::string> layers = {"*"};  ///< selectors; see graph/selector.h
  std::vector<Role> roles;                  ///< empty: all that the method offers
  /// Selectors, each for every role or, as "first/input", for one; empty optional: the default.
  std::optional<std::vector<std::string>> keep_float;
  std::vector<std::string> default_keep_float;
  std::string plugin;  ///< that provides the method
};

/// A slot that will be quantized.
struct PlannedSlot {
  SlotInfo info;
  int node = 0;
  int rule = 0;  ///< index into the rules
  std::string method;
  std::shared_ptr<Quantizer> quantizer;
  Traits traits;
  /// Weight slots of a folding method: the batch norm that is folded into this node, or -1.
  int folded_batch_norm = -1;
  /// Made once by the quantizer, in plan order; exactly one of the two.
  std::shared_ptr<WeightQuantizer> weight;
  std::shared_ptr<InputQuantizer> input;
  /// Input slots whose edge was moved in front of a ReLU; see graph/relu_elision.h.
  std::optional<ReluElision> elision;
  std::string plugin;  ///< that provides the method
  /// Of an input slot: what a convolution's padding holds (InputQuantizer::padding_value).
  double padding_value = 0;
};

/// A node whose output's gradient will be quantized on its way back.
struct PlannedGradient {
  SlotInfo info;
  int node = 0;
  std::string method;
  Traits traits;
  std::unique_ptr<GradientQuantizer> quantizer;
  std::string plugin;  ///< that provides the method
};

struct PlanWarning {
  std::string text;  ///< "rule 1 (bwn) is wholly overridden by rule 2 (xnornet)"
  int rule = -1;     ///< the index of the rule that it is about, or -1
};

struct Plan {
  std::vector<PlannedSlot> slots;  ///< in graph order, weight before inputs of one node
  /// Shared with the backward passes that are under way.
  std::vector<std::shared_ptr<const PlannedGradient>> gradients;
  std::vector<PlanWarning> warnings;
  int ensemble_size = 1;
  bool needs_calibration = false;
  bool bias_correction = false;  ///< some weight slot's method asks for it

  bool is_float() const { return slots.empty() && gradients.empty(); }
  const PlannedSlot* find(int node, Role role, int edge = 0) const;
};

/// What is wrong with a rule: `rule` is its index and `key` the key to point at ("layers", "roles",
/// "keep_float", "name").
class RuleError : public Error {
 public:
  RuleError(int rule, std::string key, std::string message, std::string help = "");
  ~RuleError() override;
  int rule() const noexcept { return rule_; }
  const std::string& key() const noexcept { return key_; }

 private:
  int rule_;
  std::string key_;
};

/// Resolves the rules: for each (node, role) the last rule that selects it wins; `keep_float`
/// narrows its own rule only. Throws RuleError for a selector that is malformed or matches nothing,
/// a role the method does not offer, slots of which the method takes none, a rule that selects no
/// slot, an input whose ReLU cannot be elided, and when nothing at all is quantized although there
/// are rules. What a method throws is an Error that names it; see model/plugin_call.h.
/// `non_negative_image`: no value of the network's input is below 0.
Plan make_plan(const Graph& graph, const std::vector<MethodRule>& rules,
               bool non_negative_image = false);

}  // namespace qhost
