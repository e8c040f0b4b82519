/// model/slot_math.h: what running, freezing and calibrating slots share. Private to model/.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/plan.h"
#include "model/plugin_call.h"

namespace qhost {

/// Whether slots of that role quantize in the phase that the run is in.
bool is_active(const Traits& traits, Role role, std::int64_t epoch);
inline bool is_active(const PlannedSlot& slot, std::int64_t epoch) {
  return is_active(slot.traits, slot.info.role, epoch);
}
/// A vector over channels, shaped to broadcast over a convolution's or a linear layer's output.
at::Tensor over_channels(const at::Tensor& values, Op op);
/// gamma / sqrt(running variance + epsilon) of a batch norm, [C].
at::Tensor fold_factor(const Node& norm, const std::vector<at::Tensor>& parameters);
/// Each filter of `weight` times its entry of `factor`.
at::Tensor per_filter(const at::Tensor& factor, const at::Tensor& weight);
/// A factor per position belongs to the outputs of conv2d and linear nodes only.
[[noreturn]] void refuse_output_scale(const PluginCall& call, Op op);

}  // namespace qhost
