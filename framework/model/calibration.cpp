/// Passes over training data that measure: what slots would quantize, what rounding takes from the
/// means, what the batch norms see.
#include "model/model.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"

namespace qhost {
namespace {

/// W - W^, with which the node computes what rounding its weight took from its output.
FrozenWeight rounding_error(const at::Tensor& weight, const FrozenWeight& frozen) {
  at::Tensor rounded = frozen.levels;
  if (frozen.scale.defined()) {
    rounded = frozen.scale.numel() > 1 ? per_filter(frozen.scale.reshape(-1), rounded)
                                       : rounded * frozen.scale.reshape({});
  }
  return {.levels = weight - rounded};
}

}  // namespace

void Model::calibrate(const at::Tensor& x, const RunPosition& position, bool batch_statistics) {
  const at::NoGradGuard no_grad;
  calibrates_on_batch_statistics_ = batch_statistics;
  if (position.step == 0) {
    for (const PlannedSlot& slot : plan_.slots) {
      if (!slot.weight) continue;
      call_plugin(call_of(slot, "observe"), [&] {
        slot.weight->observe(context(slot.info, slot.traits, Mode::calibrate, position, 0),
                             seen_weight(slot));
      });
    }
  }
  run(x, Mode::calibrate, position, 0, nullptr);
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
    FrozenWeight& frozen = frozen_->weights.at(step.node->id).at(0);
    frozen = rounding_error(seen_weight(*step.weight), frozen);
    at::Tensor sum = at::zeros_like(step.bias_correction, at::kDouble);
    double positions = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      Run run;
      run.mode = Mode::evaluate;
      run.position = position;
      run.last = &step;
      at::Tensor lost = run_graph(run, batch(i), nullptr);
      if (lost.dim() == 2) lost = lost.reshape({lost.size(0), lost.size(1), 1, 1});
      sum += lost.to(at::kDouble).sum({0, 2, 3});
      positions += static_cast<double>(lost.numel() / lost.size(1));
    }
    step.bias_correction.copy_(sum / positions);
    freeze_slot(*step.weight, position);
  }
}

void Model::recalibrate_batch_norms(const at::Tensor& x, const RunPosition& position,
                                    std::int64_t batch) {
  const at::NoGradGuard no_grad;
  // The first pass has the factor 1, which a value that is not finite would survive: 0 * inf.
  if (batch == 0) reset_running_statistics();
  freeze(position);
  for (int member = 0; member < plan_.ensemble_size; ++member) {
    averaged_passes_ = batch * plan_.ensemble_size + member + 1;
    run(x, Mode::evaluate, position, member, nullptr);
  }
  averaged_passes_ = 0;
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
