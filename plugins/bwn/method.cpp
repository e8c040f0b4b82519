#include "method.h"

namespace qhost::bwn {

std::vector<Option> options() {
  return {
      Option::string("gradient", "algorithm1",
                     "what reaches the latent weights; algorithm1: the gradient of the scaled "
                     "binary weights; text: that times 1/n + alpha where |W| <= 1; exact: the "
                     "derivative of alpha(W) * sign(W)")
          .one_of({"algorithm1", "text", "exact"})
          .from_paper("Algorithm 1 and section 3.1"),
  };
}

std::unique_ptr<WeightQuantizer> BinaryWeightNetwork::weight(const SlotInfo&) {
  return std::make_unique<scaled_sign::Weight>("bwn", gradient_);
}

QuantizerMethod method() {
  return {
      .name = "bwn",
      .summary = "binary weights times the mean |W| of their filter",
      .paper =
          "Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net (Binary-Weight-Networks), ECCV 2016, "
          "arXiv 1603.05279",
      .options = options(),
      .roles = {Role::weight},
      .keep_float = {"first", "last"},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<BinaryWeightNetwork>(
            scaled_sign::gradient_of(given.string("gradient")));
      },
  };
}

}  // namespace qhost::bwn
