#include "sign_weight.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/mean.h>

#include "qhost/error.h"

namespace qhost::xnornet {
namespace {

void centre_and_clip(at::Tensor& latent) {
  latent.sub_(at::mean(latent, {1}, true)).clamp_(-1, 1);
}

}  // namespace

void require_channels_to_centre(const SlotInfo& slot) {
  if (slot.shape.at(1) > 1) return;
  throw Error(ErrorKind::configuration,
              "xnornet: " + slot.node +
                  " has 1 input channel per filter, over which gradient = \"authors_code\" would "
                  "centre its weights to 0\nhelp: keep it in float (keep_float), or choose another "
                  "gradient");
}

void CentredWeight::initialise(const SlotContext&, at::Tensor& latent) {
  centre_and_clip(latent);
}

void CentredWeight::after_step(const SlotContext&, at::Tensor& latent) {
  centre_and_clip(latent);
}

}  // namespace qhost::xnornet
