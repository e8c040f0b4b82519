#include "sign_input.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mean.h>

#include <array>
#include <string>

#include "../shared/sign.h"
#include "qhost/error.h"

namespace qhost::xnornet {
namespace {

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

at::Tensor scale_of_positions(const SlotInfo& slot, const at::Tensor& x) {
  const at::Tensor a = at::mean(at::abs(x), {1}, true);
  if (slot.op == Op::linear) return a;
  return at::avg_pool2d(a, pair(slot.kernel), pair(slot.stride), pair(slot.padding),
                        /*ceil_mode=*/false, /*count_include_pad=*/true);
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
      scale_of_positions(*context.slot, scale_ == InputScale::detached ? x.detach() : x);
  return result;
}

EncodedInput SignInput::encode(const SlotContext& context, const at::Tensor& x) {
  EncodedInput result;
  result.codes.encoding = encoding(*context.slot);
  result.codes.codes = at::ge(x, 0).to(at::kByte);
  if (scale_ != InputScale::none) result.output_scale = scale_of_positions(*context.slot, x);
  return result;
}

}  // namespace qhost::xnornet
