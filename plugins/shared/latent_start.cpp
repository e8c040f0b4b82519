#include "latent_start.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "qhost/error.h"

namespace qhost::latent {

double learning_rate_multiplier(LrScale scale, const SlotInfo& slot) {
  const double squared = static_cast<double>(slot.fan_in + slot.fan_out) / 1.5;  // 1/c^2
  switch (scale) {
    case LrScale::glorot:
      return std::sqrt(squared);
    case LrScale::glorot_squared:
      return squared;
    case LrScale::none:
      break;
  }
  return 1.0;
}

Start Start::of(const std::string& init, LrScale scale) {
  const bool automatic = init == "auto";
  return {.from_paper = init == "paper" || (automatic && scale != LrScale::none),
          .is_given = !automatic};
}

void draw(const char* method, const Start& start, const SlotContext& context, at::Tensor& latent) {
  if (!start.from_paper) return;
  if (context.pretrained) {
    if (!start.is_given) return;
    throw Error(ErrorKind::configuration, std::string(method) +
                                              ": init = \"paper\" draws the latent weights of " +
                                              context.slot->node +
                                              " anew, train.init_from loads them\n"
                                              "help: take one of the two out");
  }
  const at::NoGradGuard no_grad;
  latent.copy_(uniform_like(context.random("initialise"), latent).mul_(2).sub_(1));
}

}  // namespace qhost::latent
