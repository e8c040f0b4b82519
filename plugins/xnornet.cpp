// XNOR-Net (Rastegari, Ordonez, Redmon, Farhadi, ECCV 2016, arXiv 1603.05279): binary weights with
// a scale per filter, and binary inputs.
//
//     I * W  ~  (sign(I) conv sign(W)) . K * alpha                (Eq. 11)
//
// Weights: the scale alpha and the gradients are those of bwn.cpp. gradient = "authors_code" is the
// program's that was published with the paper (github.com/allenai/XNOR-Net): a gradient of its own
// (shared/scaled_sign_ste.h), and before each batch, so after each step and before the first,
//
//     W <- clip(W - mean of W over the input channels, -1, 1)
//
//   where the mean is one for each filter and place in it. Its gradient is that under SGD; what it
//   does with Adam is in shared/scaled_sign_ste.h, too.
//
// Inputs, x = [N, C, H, W] or [N, F]:
//
//     forward    sign(x), +1 at 0
//     backward   G * 1{|x| <= 1}, the bound inside                (section 3.2)
//
//   and with input_scale = "paper" the node's output is multiplied by K, which has the unit of x:
//
//     conv2d   A = mean of |x| over the C channels, [N, 1, H, W]
//              K = A conv k, k of the node's kernel size with entries 1/(kh*kw), and with the
//              node's stride and zero padding: [N, 1, Hout, Wout]
//     linear   K = mean of |x| over the features, [N, 1]
//
//   With k_gradient = "exact" a gradient flows through K to x: sign(x) times the means' weights, 0
//   at x = 0.
//
// What papers and programs differ in, and what is done here:
//     sign(0)        +1, of weights and inputs
//     padding        zeros: a third value at the border of a padded convolution; padding_value = 1
//                    puts +1 there, as Larq does with pad_values = 1; K sees zeros in any case
//     first, last    float, unless keep_float says otherwise
//     ReLU           a sign of what a ReLU gives would always be +1: the host lets the input read
//                    what the ReLU reads, or refuses and names both nodes
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>

#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "qhost/dense.h"
#include "qhost/error.h"
#include "qhost/options.h"
#include "qhost/parallel.h"
#include "qhost/plugin.h"
#include "qhost/ste.h"
#include "shared/scaled_sign_ste.h"

namespace {

using namespace qhost;

/// The weights of gradient = "authors_code".
class CenteredWeight : public scaled_sign::Weight {
 public:
  using Weight::Weight;
  void initialize(const SlotContext&, at::Tensor& latent) override { center_and_clip(latent); }
  void after_step(const SlotContext&, at::Tensor& latent) override { center_and_clip(latent); }

 private:
  static void center_and_clip(at::Tensor& latent) {
    latent.sub_(at::mean(latent, {1}, true)).clamp_(-1, 1);
  }
};

/// Whether there is a K, and whether a gradient flows through it.
enum class InputScale { none, detached, exact };

/// Mean |x| over the channels, which lie side by side: [N, 1, H, W], without a gradient.
at::Tensor mean_of_channels_last(const at::Tensor& x) {
  at::Tensor result = at::empty({x.size(0), 1, x.size(2), x.size(3)}, x.options());
  const float* from = x.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  const std::int64_t channels = x.size(1);
  parallel_blocks(result.numel(), 1024, [=](std::int64_t first, std::int64_t last) {
    for (std::int64_t position = first; position < last; ++position) {
      const float* values = from + position * channels;
      float lanes[8] = {};
      std::int64_t c = 0;
      for (; c + 8 <= channels; c += 8) {
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += std::abs(values[c + lane]);
      }
      for (; c < channels; ++c) lanes[0] += std::abs(values[c]);
      to[position] =
          std::accumulate(std::begin(lanes), std::end(lanes), 0.0F) / static_cast<float>(channels);
    }
  });
  return result;
}

at::Tensor mean_of_channels(const at::Tensor& x, InputScale kind) {
  // LibTorch's mean over few channels beside each other takes six times as long.
  const bool loop = kind != InputScale::exact && dense::is_plain(x) && x.dim() == 4 &&
                    x.is_contiguous(at::MemoryFormat::ChannelsLast);
  return loop ? mean_of_channels_last(x) : at::mean(at::abs(x), {1}, true);
}

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

/// K.
at::Tensor scale_of_positions(const SlotInfo& slot, const at::Tensor& x, InputScale kind) {
  const at::Tensor a = mean_of_channels(x, kind);
  if (slot.op == Op::linear) return a;
  // As N channels of one image: LibTorch takes images of one channel for channels_last, which is
  // slow for them.
  const at::Tensor k = at::avg_pool2d(a.squeeze(1), pair(slot.kernel), pair(slot.stride),
                                      pair(slot.padding), /*ceil_mode=*/false,
                                      /*count_include_pad=*/true);
  return k.unsqueeze(1);
}

class SignInput : public InputQuantizer {
 public:
  SignInput(InputScale scale, double padding_value)
      : scale_(scale), padding_value_(padding_value) {}

  Encoding encoding(const SlotInfo&) const override {
    return Encoding::binary(scale_ == InputScale::none ? ScaleKind::none : ScaleKind::position);
  }
  InputRange range() const override { return InputRange::signed_values; }
  double padding_value() const override { return padding_value_; }

  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = ste::sign_clipped(x), .output_scale = output_scale(context, x)};
  }

  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return {.codes = {.encoding = encoding(*context.slot), .codes = ste::sign_codes(x)},
            .output_scale = output_scale(context, x)};
  }

 private:
  at::Tensor output_scale(const SlotContext& context, const at::Tensor& x) const {
    if (scale_ == InputScale::none) return {};
    return scale_of_positions(*context.slot, scale_ == InputScale::exact ? x : x.detach(), scale_);
  }

  InputScale scale_;
  double padding_value_;
};

class XnorNet : public Quantizer {
 public:
  explicit XnorNet(const Options& options) : options_(options) {
    if (options.string("k_gradient") == "exact") scale_ = InputScale::exact;
    if (options.string("input_scale") == "none") scale_ = InputScale::none;
  }

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override {
    if (options_.string("gradient") != "authors_code") {
      return std::make_unique<scaled_sign::Weight>(options_);
    }
    if (slot.shape.at(1) == 1) {
      throw Error(ErrorKind::configuration,
                  "xnornet: " + slot.node +
                      " has 1 input channel per filter, over which gradient = \"authors_code\" "
                      "would center its weights to 0",
                  "keep it in float (keep_float), or choose another gradient");
    }
    return std::make_unique<CenteredWeight>(options_);
  }

  /// Null for what is no convolution and no linear layer.
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
    if (scale_ != InputScale::none && slot.groups != 1) {  // K would differ from group to group
      throw Error(ErrorKind::configuration,
                  "xnornet: " + slot.node + " has " + std::to_string(slot.groups) +
                      " groups, and input_scale = \"paper\" one scale for all channels of a "
                      "position",
                  "set input_scale = \"none\", or keep the node in float (keep_float)");
    }
    return std::make_unique<SignInput>(scale_,
                                       static_cast<double>(options_.integer("padding_value")));
  }

 private:
  Options options_;
  InputScale scale_ = InputScale::detached;
};

std::vector<Option> options() {
  return {
      Option::string("gradient", "algorithm1",
                     "what reaches the latent weights; algorithm1: the gradient of the scaled "
                     "binary weights; text: that times 1/n + alpha where |W| <= 1; exact: the "
                     "derivative of alpha(W) * sign(W); authors_code: as the published program, "
                     "which also centers the weights over the input channels and clips them")
          .one_of({"algorithm1", "text", "exact", "authors_code"})
          .from_paper("Algorithm 1 and section 3.1"),
      Option::string("input_scale", "paper",
                     "factor of each output position; paper: K, the mean |input| under the filter; "
                     "none: 1, as in the published program")
          .one_of({"paper", "none"})
          .from_paper("Eq. 11"),
      Option::string("k_gradient", "detached",
                     "whether a gradient flows through K to the input: detached (none) or exact")
          .one_of({"detached", "exact"}),
      Option::integer("padding_value", 0,
                      "what the padding of a convolution holds between the signs; 0: as in the "
                      "published program; 1: as Larq's pad_values = 1. K sees zeros in any case")
          .at_least(0)
          .at_most(1),
  };
}

}  // namespace

QHOST_PLUGIN(xnornet, "XNOR-Net: binary weights and binary inputs", "Apache-2.0", "qhost") {
  registrar.add_quantizer({
      .name = "xnornet",
      .summary = "binary weights times the mean |W| of their filter, binary inputs",
      .paper = "Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net, ECCV 2016, arXiv 1603.05279",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<XnorNet>(given);
      },
  });
}
