/// The weights of `gradient = "authors_code"`: what the program does to them that was published
/// with the paper (github.com/allenai/XNOR-Net), besides its gradient
/// (plugins/shared/scaled_sign.h).
///
/// Before each batch, and so after each step and before the first:
///
///     W <- clip(W - mean of W over the input channels, -1, 1)
///
/// W is [Cout, Cin/groups, kh, kw] or [out, in]; the mean is one for each filter and place in it.
#pragma once

#include "../shared/scaled_sign.h"

namespace qhost::xnornet {

/// Throws Error (configuration) for a single input channel, whose centered weight would be 0.
void require_channels_to_center(const SlotInfo& slot);

class CenteredWeight : public scaled_sign::Weight {
 public:
  CenteredWeight() : Weight("xnornet", scaled_sign::Gradient::authors_code) {}
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
};

}  // namespace qhost::xnornet
