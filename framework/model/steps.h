/// model/steps.h: the graph prepared for execution. Private to model/.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

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
  int folded_into = -1;           ///< a batch norm: the convolution that may absorb it
  bool overwrites_input = false;  ///< a ReLU or add that may work in place
  bool behind_elision_only =
      false;  ///< read by nobody while every slot that elides a ReLU is active
};

/// What evaluation computes with for one weight slot and member: made once per set of weights.
struct FrozenWeight {
  at::Tensor levels;  ///< in the latent weight's layout
  at::Tensor scale;   ///< [1, C, 1, 1], [C] or scalar; undefined without
  at::Tensor bias;    ///< with the folded batch norm and the correction; undefined without any
};

struct Model::Frozen {
  std::int64_t epoch = 0;  ///< phases differ between epochs
  std::uint64_t seed = 0;
  bool inputs_checked = false;  ///< a batch of each input slot's codes was read through
  /// By node id, then member.
  std::map<int, std::vector<FrozenWeight>> weights;
};

/// The values of one pass over the graph.
struct Model::Run {
  Mode mode = Mode::train;
  RunPosition position;
  int member = 0;
  at::ScalarType compute = at::kFloat;
  const Step* last = nullptr;  ///< the pass ends with this node's output; null: with the network's
  std::vector<at::Tensor> values;
};

}  // namespace qhost
