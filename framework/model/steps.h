/// model/steps.h: the graph prepared for execution. Private to model/.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/interpreter.h"
#include "model/model.h"

namespace qhost {

/// "NODE/weight", "NODE/input", "NODE/input1" for a second edge: the slot's name in checkpoints.
std::string slot_prefix(const SlotInfo& slot);

/// One node, ready to run.
struct Model::Step {
  const Node* node = nullptr;
  std::vector<at::Tensor> parameters;      ///< in the order of node->parameters
  const PlannedSlot* weight = nullptr;     ///< its weight slot
  std::vector<const PlannedSlot*> inputs;  ///< its input slots, one entry per edge, null without
  std::shared_ptr<const PlannedGradient> gradient;  ///< of its output
  at::Tensor bias_correction;     ///< [Cout], state of its weight slot; undefined without
  bool overwrites_input = false;  ///< a ReLU or add that may work in place
  bool behind_elision_only =
      false;  ///< read by nobody while every slot that elides a ReLU is active
};

/// One pass over the network in training or calibration.
struct Model::Run {
  Mode mode = Mode::train;
  RunPosition position;
  bool batch_statistics = false;  ///< calibration: every batch norm takes those of the batch
  at::ScalarType compute = at::kFloat;
  std::vector<at::Tensor> values;  ///< by node id
};

/// What evaluation computes with, made once per set of weights: the inference graph, its tensors on
/// the model's device, and the model as the host of its interpreter.
struct Model::Frozen : InterpreterHost {
  Frozen(Model& owner, const RunPosition& position);
  at::Tensor interpret(const at::Tensor& x, const Interpretation& run, const RunPosition& position);
  EncodedInput encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                      const Interpretation& run) override;
  at::Tensor custom(const InferenceNode& node, const std::vector<at::Tensor>& inputs,
                    const Interpretation& run) override;
  const Step& step(const InferenceNode& node) const;

  Model& model;
  RunPosition position;         ///< of the interpretation that runs; phases differ between epochs
  bool finite = false;          ///< the weights were looked at
  bool inputs_checked = false;  ///< a batch of each input slot's codes was read through
  InferenceGraph graph;         ///< without the contents of `bound`
  std::map<std::string, at::Tensor> bound;   ///< the model's own tensors, by their stored names
  std::map<std::string, const Step*> steps;  ///< by the node's name
  std::unique_ptr<Interpreter> interpreter;
};

}  // namespace qhost
