#include "method.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <string>

#include "qhost/error.h"

namespace qhost::uniform {
namespace {

Encoded encode_with(const at::Tensor& v, const Grid& grid, const Encoding& encoding) {
  Encoded encoded;
  encoded.encoding = encoding;
  encoded.codes = codes(v, grid).to(at::kByte);
  encoded.scale = grid.step;
  encoded.zero_point = grid.zero.mul(2).to(at::kInt);  // in half steps
  return encoded;
}

}  // namespace

std::vector<Option> options() {
  return {
      Option::integer("bits", 8, "of a weight or an input").at_least(2).at_most(8),
      Option::string("scheme", "auto",
                     "affine: from the smallest to the largest value; symmetric: as far on both "
                     "sides of 0; auto: symmetric for weights, affine for inputs")
          .one_of({"auto", "affine", "symmetric"}),
      Option::string("granularity", "auto",
                     "what has a grid of its own; auto: the channel of weights, the tensor of "
                     "inputs")
          .one_of({"auto", "tensor", "channel"}),
      Option::real("percentile", 100.0,
                   "of the values that the range holds on either side; 100: all of them")
          .above(50)
          .at_most(100),
      Option::string("range", "moving_average",
                     "of inputs; moving_average: training moves it; calibrated: measured before "
                     "the first step and left alone")
          .one_of({"moving_average", "calibrated"}),
      Option::real("momentum", 0.01, "weight of a batch in the moving average").above(0).at_most(1),
  };
}

Settings Settings::from(const Options& options) {
  Settings s;
  s.bits = static_cast<int>(options.integer("bits"));
  const std::string& scheme = options.string("scheme");
  if (scheme == "affine") s.scheme = Scheme::affine;
  if (scheme == "symmetric") s.scheme = Scheme::symmetric;
  const std::string& granularity = options.string("granularity");
  if (granularity == "tensor") s.granularity = Granularity::tensor;
  if (granularity == "channel") s.granularity = Granularity::channel;
  s.percentile = options.real("percentile");
  s.calibrated = options.string("range") == "calibrated";
  s.momentum = options.real("momentum");
  return s;
}

Layout::Layout(const Settings& settings, Role role)
    : bits(settings.bits), percentile(settings.percentile) {
  const bool weight = role == Role::weight;
  symmetric = settings.scheme == Scheme::by_role ? weight : settings.scheme == Scheme::symmetric;
  grouping.per_channel = settings.granularity == Granularity::by_role
                             ? weight
                             : settings.granularity == Granularity::channel;
  grouping.channel_dimension = weight ? 0 : 1;
}

Encoding Layout::encoding() const {
  // A symmetric grid has the same zero point in every channel.
  return Encoding::uniform(
      bits, grouping.per_channel ? ScaleKind::channel : ScaleKind::tensor,
      grouping.per_channel && !symmetric ? ZeroPointKind::channel : ZeroPointKind::tensor);
}

Encoding UniformWeight::encoding(const SlotInfo&) const {
  return layout_.encoding();
}

at::Tensor UniformWeight::forward(const SlotContext&, const at::Tensor& latent) {
  return quantize(latent, layout_.grid(layout_.range(latent.detach())));
}

Encoded UniformWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::Tensor w = latent.detach();
  const Grid grid = layout_.grid(layout_.range(w));
  const std::int64_t steps = grid.step.numel();
  const auto bad = steps - at::isfinite(grid.step).sum().item<std::int64_t>();
  if (bad != 0) {
    throw Error(ErrorKind::diverged, "uniform: " + std::to_string(bad) + " of " +
                                         std::to_string(steps) + " ranges of the weights of " +
                                         context.slot->node +
                                         " are not finite\nhelp: lower the learning rate");
  }
  return encode_with(w, grid, layout_.encoding());
}

UniformInput::UniformInput(const Settings& settings, const SlotInfo& slot)
    : layout_(settings, Role::input),
      calibrated_(settings.calibrated),
      momentum_(settings.momentum),
      batches_(at::zeros({}, at::kFloat)) {
  std::vector<std::int64_t> shape;
  if (layout_.grouping.per_channel) shape.push_back(slot.shape.at(0));
  range_.low = at::zeros(shape, at::kFloat);
  range_.high = at::ones(shape, at::kFloat);
}

Encoding UniformInput::encoding(const SlotInfo&) const {
  return layout_.encoding();
}

std::vector<SlotParameter> UniformInput::parameters() {
  return {{.name = "low", .tensor = range_.low, .trainable = false},
          {.name = "high", .tensor = range_.high, .trainable = false},
          {.name = "batches", .tensor = batches_, .trainable = false}};
}

void UniformInput::initialize(const SlotContext&) {
  range_.low.fill_(0);
  range_.high.fill_(1);
  batches_.fill_(0);
}

void UniformInput::observe(const SlotContext&, const at::Tensor& x) {
  if (!calibrated_) return;  // another rule asked for the calibration
  const at::NoGradGuard no_grad;
  const Range batch = layout_.range(x);
  batches_.add_(1);
  const at::Tensor first = batches_.eq(1);
  if (layout_.percentile >= 100) {
    range_.low.copy_(at::where(first, batch.low, at::minimum(range_.low, batch.low)));
    range_.high.copy_(at::where(first, batch.high, at::maximum(range_.high, batch.high)));
  } else {
    // The mean of the batches seen so far, in one pass.
    const at::Tensor share = batches_.reciprocal();
    range_.low.lerp_(batch.low, share);
    range_.high.lerp_(batch.high, share);
  }
}

void UniformInput::move(const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  const Range batch = layout_.range(x);
  // By a tensor, not by a branch: no device has to report before the next kernel starts.
  const at::Tensor share = at::where(batches_.eq(0), 1.0, momentum_).to(at::kFloat);
  range_.low.lerp_(batch.low, share);
  range_.high.lerp_(batch.high, share);
  batches_.add_(1);
}

QuantizedInput UniformInput::forward(const SlotContext& context, const at::Tensor& x) {
  if (context.mode == Mode::train && !calibrated_) move(x.detach());
  return {.value = quantize(x, layout_.grid(range_))};
}

EncodedInput UniformInput::encode(const SlotContext& context, const at::Tensor& x) {
  if (batches_.item<float>() == 0) {
    throw Error(ErrorKind::configuration,
                "uniform: the range of the inputs of " + context.slot->node +
                    " comes from training batches, and there was none\n"
                    "help: train for a step or more, or set range = \"calibrated\"");
  }
  return {.codes = encode_with(x.detach(), layout_.grid(range_), layout_.encoding())};
}

std::unique_ptr<WeightQuantizer> Uniform::weight(const SlotInfo&) {
  return std::make_unique<UniformWeight>(settings_);
}

std::unique_ptr<InputQuantizer> Uniform::input(const SlotInfo& slot) {
  if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
  return std::make_unique<UniformInput>(settings_, slot);
}

Traits Uniform::traits() const {
  Traits traits;
  traits.needs_calibration = settings_.calibrated;
  return traits;
}

QuantizerMethod method() {
  return {
      .name = "uniform",
      .summary = "uniform levels over the range of the weights or inputs, affine or symmetric",
      .paper =
          "Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, "
          "2018, arXiv 1806.08342",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<Uniform>(Settings::from(given));
      },
  };
}

}  // namespace qhost::uniform
