/// model/model.h: a graph made trainable: parameters, quantizer slots, execution.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/inference_graph.h"
#include "lowering/pack/input_codes.h"
#include "model/plan.h"
#include "qhost/graph.h"
#include "qhost/quantizer.h"

namespace qhost {

class InterpreterWatch;

enum class Precision { fp32, bf16 };

/// A tensor of the model's state, under the name that checkpoints use: NODE.PARAMETER, or
/// NODE/ROLE.NAME for what belongs to a quantizer's slot (NODE/input1.NAME for a second edge).
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
  bool trainable = true;
  bool decayed = false;  ///< a weight of a conv2d or linear
  double learning_rate_multiplier = 1.0;
  std::optional<double> weight_decay;  ///< overrides the experiment's
};

/// Where in a run a call happens.
struct RunPosition {
  std::int64_t epoch = 0, epochs = 1, step = 0, steps = 1;
  std::uint64_t seed = 0;
};

/// Share of the most frequent code of one slot, from the last evaluation that recorded it.
struct CodeUse {
  std::string slot;  ///< "stage1.block0.conv1/input"
  double most_frequent_share = 0;
};

class BackwardWatch;

struct ModelOptions {
  Precision precision = Precision::fp32;  ///< of training; evaluation is always fp32
  bool channels_last = true;
  at::Device device = at::kCPU;
};

/// Owns every tensor of a network and runs it. Not copyable; not thread-safe.
///
/// Training runs the quantizers' forward(), in `precision`. Evaluation runs what encode() says: the
/// levels of the codes are convolved (exact in float32 up to 2^24) and the scales multiply the
/// result, in the order y = conv(levels); y *= weight scale * input scale; y *= output scale;
/// y += bias.
class Model {
 public:
  Model(Graph graph, Plan plan, const ModelOptions& options);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const Graph& graph() const { return graph_; }
  const Plan& plan() const { return plan_; }
  const ModelOptions& options() const { return options_; }

  /// Draws every parameter, keyed by (seed, name), then lets each slot initialize its own. With
  /// `weights`, the network's parameters and buffers are those (they must pass require_weights),
  /// and the slots start from them; the nodes named in `drawn` keep what was drawn.
  void initialize(const RunPosition& position,
                  const std::map<std::string, at::Tensor>* weights = nullptr,
                  const std::set<std::string>& drawn = {});
  /// Throws as load() unless `weights` are exactly the network's parameters and buffers, without
  /// what belongs to quantizers or to the nodes named in `drawn`. `names_there`, by the network's
  /// names, are those of the file that they come from, where it has others: the message gives both.
  void require_weights(const std::map<std::string, at::Tensor>& weights,
                       const std::map<std::string, std::string>& names_there = {},
                       const std::set<std::string>& drawn = {}) const;

  /// Everything that a checkpoint holds, in graph order. The tensors are the model's own.
  const std::vector<NamedTensor>& state() const { return state_; }
  /// Copies into the model's tensors, keeping their layout. Throws Error (kind data) with the
  /// missing, unexpected and mis-shaped names when the sets of names or the shapes differ.
  void load(const std::map<std::string, at::Tensor>& tensors);

  /// Logits, [N, classes] float32, differentiable. `x` is [N, ...] float32.
  at::Tensor train(const at::Tensor& x, const RunPosition& position);
  /// loss.backward(), of what train() gave. What a plugin's part of it throws, a custom gradient or
  /// a gradient slot, becomes an Error that names the plugin; see model/plugin_call.h.
  void backward(const at::Tensor& loss);
  /// Logits of the quantized network, under NoGrad and in float32; averaged over the members.
  /// Throws Error: diverged that names a weight which is not finite where slots would hide it;
  /// plugin where codes are not what the slot's encoding() announced.
  /// `watch` sees the values of the first network, see model/interpreter.h.
  at::Tensor evaluate(const at::Tensor& x, const RunPosition& position,
                      InterpreterWatch* watch = nullptr);
  /// Runs the float network in evaluation mode and shows each slot what it would quantize.
  /// An untrained network's running statistics say nothing of its activations: `batch_statistics`
  /// takes those of `x` in every batch norm, and leaves the running ones alone.
  void calibrate(const at::Tensor& x, const RunPosition& position, bool batch_statistics = false);
  /// Sets the bias corrections of the weight slots whose methods ask for them, over the images of
  /// batch(0) .. batch(count - 1), each [N, ...] float32: see Traits::bias_correction. Asks for
  /// each batch once per slot. After calibrate().
  void correct_biases(std::int64_t count, const std::function<at::Tensor(std::int64_t)>& batch,
                      const RunPosition& position);
  /// Makes the running statistics of every batch norm the average over the batches shown so far,
  /// `batch` being the number of this one from 0: of their means and of their unbiased variances,
  /// each batch with the same weight (as torch.optim.swa_utils.update_bn). The quantizers compute
  /// as in evaluate(), the batch norms take the statistics of `x`; of several members all are
  /// shown. No batch norm may be folded.
  void recalibrate_batch_norms(const at::Tensor& x, const RunPosition& position,
                               std::int64_t batch);
  /// After the optimizer's step.
  void after_step(const RunPosition& position);

  /// What evaluate() computes, with every tensor in its stored form: see graph/inference_graph.h.
  /// Throws as evaluate() where a weight that a method encodes is not finite.
  InferenceGraph inference_graph(const RunPosition& position);
  /// The stored form of each weight slot in that graph, by its node's name: of an ensemble whose
  /// networks have a tensor each, that of the first.
  std::map<std::string, Encoded> encoded_weights(const RunPosition& position);
  /// What the quantizer of each coded input of that graph does, as thresholds: see
  /// model/input_codes.h.
  InputCodesByEdge input_codes(const RunPosition& position);
  /// Records the use of codes in the next evaluate() call; see code_use().
  void record_code_use() { record_codes_ = true; }
  const std::vector<CodeUse>& code_use() const { return code_use_; }
  /// The first tensor of state() that is not finite, else the first node whose output is not when
  /// `x` runs in `mode` (train, or evaluate: its first member), without recording; "" when all are.
  std::string first_non_finite(const at::Tensor& x, const RunPosition& position,
                               Mode mode = Mode::train);

 private:
  struct Step;    // one node, ready to run
  struct Run;     // one pass over the network in training or calibration
  struct Frozen;  // what evaluation computes with

  // The constructor's parts.
  void add_steps();
  void add_slot(const PlannedSlot& slot);
  void add_weight_slot(const PlannedSlot& slot);
  void add_slot_state(const PlannedSlot& slot);
  std::vector<std::vector<int>> readers_of_values() const;
  void find_values_to_overwrite(const std::vector<std::vector<int>>& readers);
  void find_nodes_behind_elisions();
  void find_last_reads(const std::vector<std::vector<int>>& readers);

  // Training and calibration.
  at::Tensor run_network(Run& run, const at::Tensor& input, std::string* non_finite);
  at::Tensor output_of(Run& run, const Step& step, const at::Tensor& input);
  /// The value on an input. `output_scale` gets the factor of the node's output per position, if
  /// there is one; null: of a node that has none.
  at::Tensor edge(Run& run, const Step& step, std::size_t index,
                  at::Tensor* output_scale = nullptr);
  at::Tensor in_front_of_relu(const Run& run, const ReluElision& elision) const;
  at::Tensor affine_node(Run& run, const Step& step);
  /// The slot's forward(); `factor` is what its output is divided by where a batch norm is folded.
  at::Tensor trained_weight(const Run& run, const PlannedSlot& slot, at::Tensor& factor);
  at::Tensor batch_norm_node(Run& run, const Step& step);
  at::Tensor custom_node(const Step& step, const std::vector<at::Tensor>& inputs, bool training,
                         const RunPosition& position) const;
  /// `y`, whose gradient passes through the node's gradient slot.
  at::Tensor watch_gradient(const Run& run, const Step& step, const at::Tensor& y) const;
  at::Tensor dropout(const at::Tensor& x, const std::string& node, double probability,
                     const RunPosition& position) const;

  // Evaluation.
  void freeze(const RunPosition& position, bool any_value = false);
  void fill(Frozen& frozen);
  void store_weight(Frozen& frozen, InferenceNode& node, const PlannedSlot& slot);
  EncodedInput encoded_input(const PlannedSlot& slot, const RunPosition& position, int network,
                             const at::Tensor& x);
  /// What a weight slot quantizes: the latent weight, folded where the method folds.
  at::Tensor seen_weight(const PlannedSlot& slot) const;
  at::Tensor bias_in_evaluation(const PlannedSlot& slot) const;
  void correct_bias(Step& step, std::int64_t count,
                    const std::function<at::Tensor(std::int64_t)>& batch,
                    const RunPosition& position);
  void require_finite_weights() const;
  void reset_running_statistics();
  void record(const std::string& slot, const Encoded& encoded);

  void draw_parameters(std::uint64_t seed);
  SlotContext context(const SlotInfo& slot, const Traits& traits, Mode mode,
                      const RunPosition& position, int member) const;

  Graph graph_;
  Plan plan_;
  ModelOptions options_;
  std::vector<Step> steps_;
  std::vector<NamedTensor> state_;
  std::vector<std::vector<int>> frees_;  // values that are dead after each node
  std::unique_ptr<Frozen> frozen_;
  std::shared_ptr<BackwardWatch> backward_watch_;
  std::vector<CodeUse> code_use_;
  bool record_codes_ = false;
};

}  // namespace qhost
