#include "sign_input.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mean.h>

#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "../shared/dense.h"
#include "../shared/sign.h"
#include "qhost/error.h"

namespace qhost::xnornet {
namespace {

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

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

}  // namespace

void require_one_group(const SlotInfo& slot) {
  if (slot.groups == 1) return;
  throw Error(ErrorKind::configuration,
              "xnornet: " + slot.node + " has " + std::to_string(slot.groups) +
                  " groups, and input_scale = \"paper\" one scale for all channels of a position\n"
                  "help: set input_scale = \"none\", or keep the node in float (keep_float)");
}

Encoding SignInput::encoding(const SlotInfo&) const {
  return Encoding::binary(scale_ == InputScale::none ? ScaleKind::none : ScaleKind::position);
}

QuantizedInput SignInput::forward(const SlotContext& context, const at::Tensor& x) {
  QuantizedInput result{.value = sign::sign_hardtanh(x), .output_scale = {}};
  if (scale_ == InputScale::none) return result;
  result.output_scale =
      scale_of_positions(*context.slot, scale_ == InputScale::detached ? x.detach() : x, scale_);
  return result;
}

EncodedInput SignInput::encode(const SlotContext& context, const at::Tensor& x) {
  EncodedInput result;
  result.codes.encoding = encoding(*context.slot);
  result.codes.codes = at::ge(x, 0).to(at::kByte);
  if (scale_ != InputScale::none)
    result.output_scale = scale_of_positions(*context.slot, x, scale_);
  return result;
}

}  // namespace qhost::xnornet
