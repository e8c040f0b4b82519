#include "sign_weight.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/mean.h>

#include "qhost/error.h"

namespace qhost::xnornet {
namespace {

void center_and_clip(at::Tensor& latent) {
  latent.sub_(at::mean(latent, {1}, true)).clamp_(-1, 1);
}

}  // namespace

void require_channels_to_center(const SlotInfo& slot) {
  if (slot.shape.at(1) > 1) return;
  throw Error(ErrorKind::configuration,
              "xnornet: " + slot.node +
                  " has 1 input channel per filter, over which gradient = \"authors_code\" would "
                  "center its weights to 0\nhelp: keep it in float (keep_float), or choose another "
                  "gradient");
}

void CenteredWeight::initialize(const SlotContext&, at::Tensor& latent) {
  center_and_clip(latent);
}

void CenteredWeight::after_step(const SlotContext&, at::Tensor& latent) {
  center_and_clip(latent);
}

}  // namespace qhost::xnornet
