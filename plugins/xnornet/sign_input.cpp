#include "sign_input.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <string>

#include "qhost/error.h"

namespace qhost::xnornet {
namespace {

/// Saves the mask as one byte a value.
class Sign : public torch::autograd::Function<Sign> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({at::le(at::abs(x), 1)});
    // Adding 0 turns -0 into +0, so that sign(-0) = +1.
    return at::copysign(at::ones({}, x.options()), at::add(x, 0));
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {at::mul(gradients[0], context->get_saved_variables()[0])};
  }
};

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
  QuantizedInput result{.value = Sign::apply(x), .output_scale = {}};
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
