/// plugins/shared/latent_start.h: how the latent weights of BinaryConnect (Courbariaux, Bengio,
/// David, 2015, arXiv 1511.00363) and of its successor BNN start, and how far a step moves them, in
/// their authors' programs.
///
///     c = sqrt(1.5 / (fan_in + fan_out))           the bound of Glorot and Bengio's uniform start
///     start             w ~ Uniform(-1, 1), drawn by uniform_like(random("initialise"), w)
///     learning rate     times 1/c for Adam, 1/c^2 for SGD
///
/// fan_in = Cin/groups * kh * kw, fan_out = Cout/groups * kh * kw.
///
/// Options: lr_scale is "none", "glorot" (1/c) or "glorot_squared" (1/c^2). init is "paper",
/// "architecture" or "auto", which is the paper's start where lr_scale enlarges the steps: weights
/// that are spread over [-1, 1] cross zero by no smaller ones.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <string>
#include <utility>

#include "qhost/error.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost {

class LatentStart {
 public:
  LatentStart(std::string method, const Options& options)
      : method_(std::move(method)),
        lr_scale_(options.string("lr_scale")),
        init_(options.string("init")) {}

  static Option init_option() {
    return Option::string(
               "init", "auto",
               "start of the latent weights; paper: Uniform(-1, 1); architecture: as the network "
               "drew them; auto: paper if lr_scale is set, else architecture; a pretrained network "
               "(train.init_from) keeps its weights")
        .one_of({"auto", "paper", "architecture"});
  }

  /// 1, 1/c or 1/c^2.
  double learning_rate_multiplier(const SlotInfo& slot) const {
    const double squared = static_cast<double>(slot.fan_in + slot.fan_out) / 1.5;  // 1/c^2
    if (lr_scale_ == "glorot") return std::sqrt(squared);
    return lr_scale_ == "glorot_squared" ? squared : 1.0;
  }

  /// Draws the latent weight, unless the architecture's start or a trained network's weights stay.
  /// Throws Error(configuration) when the experiment asks for both.
  void draw(const SlotContext& context, at::Tensor& latent) const {
    if (init_ == "architecture" || (init_ == "auto" && lr_scale_ == "none")) return;
    if (context.pretrained) {
      if (init_ == "auto") return;
      throw Error(ErrorKind::configuration,
                  method_ + ": init = \"paper\" draws the latent weights of " + context.slot->node +
                      " anew, train.init_from loads them",
                  "take one of the two out");
    }
    const at::NoGradGuard no_grad;
    // The word is part of the key: another spelling would draw other numbers.
    latent.copy_(uniform_like(context.random("initialise"), latent).mul_(2).sub_(1));
  }

 private:
  std::string method_, lr_scale_, init_;
};

}  // namespace qhost
