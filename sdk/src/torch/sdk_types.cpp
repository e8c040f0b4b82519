/// The out-of-line parts of the SDK headers that need LibTorch: key functions, levels() and
/// decode().
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include "qhost/custom.h"
#include "qhost/error.h"
#include "qhost/quantizer.h"

namespace qhost {

CustomOp::~CustomOp() = default;
std::optional<CustomLowering> CustomOp::lower(GraphBuilder&, const std::vector<Value>&,
                                              const std::vector<at::Tensor>&) const {
  return std::nullopt;
}

Random SlotContext::random(std::string_view purpose) const {
  const std::string name =
      slot->node + "/" + to_string(slot->role) + "/" + std::to_string(slot->edge);
  // Training draws anew in each step; an evaluation uses the same draws again, one set per member
  // of an ensemble.
  const bool training = mode == Mode::train;
  return Random::keyed(seed, name, purpose, training ? 0U : 1U,
                       static_cast<std::uint64_t>(training ? step : member));
}

WeightQuantizer::~WeightQuantizer() = default;
std::vector<SlotParameter> WeightQuantizer::parameters() {
  return {};
}
LatentTraits WeightQuantizer::latent_traits(const SlotInfo&) const {
  return {};
}
void WeightQuantizer::initialize(const SlotContext&, at::Tensor&) {}
void WeightQuantizer::observe(const SlotContext&, const at::Tensor&) {}
void WeightQuantizer::after_step(const SlotContext&, at::Tensor&) {}

InputQuantizer::~InputQuantizer() = default;
InputRange InputQuantizer::range() const {
  return InputRange::any;
}
std::string InputQuantizer::range_advice() const {
  return "";
}
double InputQuantizer::padding_value() const {
  return 0;
}
std::vector<SlotParameter> InputQuantizer::parameters() {
  return {};
}
void InputQuantizer::initialize(const SlotContext&) {}
void InputQuantizer::observe(const SlotContext&, const at::Tensor&) {}
void InputQuantizer::after_step(const SlotContext&) {}

GradientQuantizer::~GradientQuantizer() = default;

Quantizer::~Quantizer() = default;
std::unique_ptr<WeightQuantizer> Quantizer::weight(const SlotInfo&) {
  return nullptr;
}
std::unique_ptr<InputQuantizer> Quantizer::input(const SlotInfo&) {
  return nullptr;
}
std::unique_ptr<GradientQuantizer> Quantizer::gradient(const SlotInfo&) {
  return nullptr;
}
Traits Quantizer::traits() const {
  return {};
}

namespace {

/// A scalar or per-channel tensor, shaped to broadcast over `like` along its channel dimension.
at::Tensor along_channels(const at::Tensor& values, const at::Tensor& like, int64_t dimension) {
  if (values.numel() == 1) return values.reshape({});
  std::vector<int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape.at(static_cast<std::size_t>(dimension)) = values.numel();
  return values.reshape(shape);
}

int64_t channel_axis(const Encoded& encoded, int channel_dimension) {
  return channel_dimension + (encoded.encoding.ensemble_size > 1 ? 1 : 0);
}

}  // namespace

at::Tensor levels(const Encoded& e, int channel_dimension) {
  const int64_t axis = channel_axis(e, channel_dimension);
  switch (e.encoding.kind) {
    case CodeKind::float32:
    case CodeKind::float16:
    case CodeKind::bfloat16:
      return e.codes;
    case CodeKind::binary:
      return e.codes.to(at::kFloat).mul_(2).sub_(1);
    case CodeKind::ternary:
      return e.codes.to(at::kFloat).sub_(1);
    case CodeKind::uniform: {
      at::Tensor level = e.codes.to(at::kFloat);
      if (e.zero_point.defined()) {
        // Half steps are exact in binary floating point.
        level.sub_(along_channels(e.zero_point.to(at::kFloat).mul_(0.5), level, axis));
      }
      return level;
    }
    case CodeKind::codebook: {
      const at::Tensor index = e.codes.to(at::kLong);
      if (!e.encoding.codebook_per_channel) {
        return e.table.index_select(0, index.reshape(-1)).reshape(index.sizes());
      }
      // Row c of the table belongs to channel c.
      const int64_t entries = e.table.size(1);
      const at::Tensor row = at::arange(e.table.size(0), index.options()).mul_(entries);
      const at::Tensor flat = index + along_channels(row, index, axis);
      return e.table.reshape(-1).index_select(0, flat.reshape(-1)).reshape(index.sizes());
    }
  }
  throw Error(ErrorKind::internal, "levels(): unknown kind of code");
}

at::Tensor decode(const Encoded& e, int channel_dimension) {
  at::Tensor value = levels(e, channel_dimension);
  if (!e.scale.defined()) return value;
  return value * along_channels(e.scale, value, channel_axis(e, channel_dimension));
}

}  // namespace qhost
