/// Passes over training data that measure: what slots would quantize, what rounding takes from the
/// means, what the batch norms see.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "model/model.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"

namespace qhost {
namespace {

/// W - W^, with which the node computes what rounding its weight took from its output.
InterpretedWeight rounding_error(const at::Tensor& weight, const InterpretedWeight& stored) {
  at::Tensor rounded = stored.levels;
  if (stored.scale.defined()) {
    rounded = stored.scale.numel() > 1 ? per_filter(stored.scale.reshape(-1), rounded)
                                       : rounded * stored.scale.reshape({});
  }
  return {.levels = weight - rounded};
}

}  // namespace

void Model::calibrate(const at::Tensor& x, const RunPosition& position, bool batch_statistics) {
  const at::NoGradGuard no_grad;
  if (position.step == 0) {
    for (const PlannedSlot& slot : plan_.slots) {
      if (!slot.weight) continue;
      call_plugin(call_of(slot, "observe"), [&] {
        slot.weight->observe(context(slot.info, slot.traits, Mode::calibrate, position, 0),
                             seen_weight(slot));
      });
    }
  }
  Run run{.mode = Mode::calibrate, .position = position, .batch_statistics = batch_statistics};
  run_network(run, x, nullptr);
  frozen_.reset();
}

void Model::correct_biases(std::int64_t count, const std::function<at::Tensor(std::int64_t)>& batch,
                           const RunPosition& position) {
  const at::NoGradGuard no_grad;
  for (Step& step : steps_) {
    if (step.bias_correction.defined()) step.bias_correction.zero_();
  }
  frozen_.reset();
  freeze(position);
  // In graph order: what a node reads comes from nodes that are corrected already.
  for (Step& step : steps_) {
    if (!step.bias_correction.defined() || !is_active(*step.weight, position.epoch)) continue;
    correct_bias(step, count, batch, position);
  }
  frozen_.reset();  // its stored biases are those from before
}

void Model::correct_bias(Step& step, std::int64_t count,
                         const std::function<at::Tensor(std::int64_t)>& batch,
                         const RunPosition& position) {
  Interpreter& interpreter = *frozen_->interpreter;
  const int node = frozen_->graph.find(step.node->name);
  const InterpretedWeight weight = interpreter.weight(node);
  interpreter.replace(node, rounding_error(seen_weight(*step.weight), weight), {});
  at::Tensor sum = at::zeros_like(step.bias_correction, at::kDouble);
  double positions = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    at::Tensor lost = frozen_->interpret(batch(i), {.last = node}, position);
    if (lost.dim() == 2) lost = lost.reshape({lost.size(0), lost.size(1), 1, 1});
    sum += lost.to(at::kDouble).sum({0, 2, 3});
    positions += static_cast<double>(lost.numel() / lost.size(1));
  }
  step.bias_correction.copy_(sum / positions);
  interpreter.replace(node, weight, bias_in_evaluation(*step.weight));
}

void Model::recalibrate_batch_norms(const at::Tensor& x, const RunPosition& position,
                                    std::int64_t batch) {
  const at::NoGradGuard no_grad;
  // The first pass has the factor 1, which a value that is not finite would survive: 0 * inf.
  if (batch == 0) reset_running_statistics();
  freeze(position);
  for (int network = 0; network < plan_.ensemble_size; ++network) {
    const std::int64_t averaged = batch * plan_.ensemble_size + network + 1;
    frozen_->interpret(x, {.network = network, .averaged_batches = averaged}, position);
  }
}

void Model::reset_running_statistics() {
  for (Step& step : steps_) {
    if (step.node->op != Op::batch_norm) continue;
    const std::size_t statistics = step.node->as<BatchNormOptions>().affine ? 2 : 0;
    step.parameters[statistics].zero_();
    step.parameters[statistics + 1].fill_(1);
  }
}

}  // namespace qhost
