/// Binary inputs of a convolution or a linear layer, and the scale of its output positions.
///
///     forward    sign(x), +1 at 0
///     backward   G * 1{|x| <= 1}, the bound inside                (section 3.2)
///
/// and with input_scale = "paper" the node's output is multiplied by K (Eq. 11):
///
///     conv2d   A = mean of |x| over the C channels, [N, 1, H, W]
///              K = A conv k, k of the node's kernel size with entries 1/(kh*kw), and with the
///              node's stride and zero padding: [N, 1, Hout, Wout]
///     linear   K = mean of |x| over the features, [N, 1]
///
/// x is [N, C, H, W] or [N, F], float32; K has the unit of x.
#pragma once

#include "qhost/quantizer.h"

namespace qhost::xnornet {

/// Whether there is a K, and whether a gradient flows through it: dK/dx = sign(x) times the means'
/// weights, 0 at x = 0.
enum class InputScale { none, detached, exact };

/// Throws Error (configuration) for a grouped convolution: K would differ from group to group.
void require_one_group(const SlotInfo& slot);

class SignInput : public InputQuantizer {
 public:
  explicit SignInput(InputScale scale) : scale_(scale) {}

  Encoding encoding(const SlotInfo& slot) const override;
  InputRange range() const override { return InputRange::signed_values; }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  InputScale scale_;
};

}  // namespace qhost::xnornet
