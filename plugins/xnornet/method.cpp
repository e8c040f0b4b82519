#include "method.h"

#include "sign_weight.h"

namespace qhost::xnornet {

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
  };
}

Settings Settings::from(const Options& options) {
  Settings settings;
  settings.gradient = scaled_sign::gradient_of(options.string("gradient"));
  if (options.string("k_gradient") == "exact") settings.input_scale = InputScale::exact;
  if (options.string("input_scale") == "none") settings.input_scale = InputScale::none;
  return settings;
}

std::unique_ptr<WeightQuantizer> XnorNet::weight(const SlotInfo& slot) {
  if (settings_.gradient != scaled_sign::Gradient::authors_code) {
    return std::make_unique<scaled_sign::Weight>("xnornet", settings_.gradient);
  }
  require_channels_to_center(slot);
  return std::make_unique<CenteredWeight>();
}

std::unique_ptr<InputQuantizer> XnorNet::input(const SlotInfo& slot) {
  if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
  if (settings_.input_scale != InputScale::none) require_one_group(slot);
  return std::make_unique<SignInput>(settings_.input_scale);
}

QuantizerMethod method() {
  return {
      .name = "xnornet",
      .summary = "binary weights times the mean |W| of their filter, binary inputs",
      .paper = "Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net, ECCV 2016, arXiv 1603.05279",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<XnorNet>(Settings::from(given));
      },
  };
}

}  // namespace qhost::xnornet
