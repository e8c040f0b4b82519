/// What BinaryConnect (Courbariaux, Bengio, David, 2015, arXiv 1511.00363) and its successor BNN
/// share in their authors' programs: how the latent weights start and how far a step moves them.
///
///     c = sqrt(1.5 / (fan_in + fan_out))           the bound of Glorot and Bengio's uniform start
///     start             w ~ Uniform(-1, 1), keyed by random("initialise")
///     learning rate     times 1/c for Adam, 1/c^2 for SGD
#pragma once

#include "qhost/quantizer.h"

namespace qhost::latent {

enum class LrScale { none, glorot, glorot_squared };

/// 1, 1/c or 1/c^2.
double learning_rate_multiplier(LrScale scale, const SlotInfo& slot);

struct Start {
  bool from_paper = false;  ///< else the architecture's
  bool is_given = false;    ///< the experiment asks for it, rather than init = "auto"

  /// `init` is "auto", "paper" or "architecture"; auto is the paper's where the steps are enlarged:
  /// weights spread over [-1, 1] need those to cross zero at all.
  static Start of(const std::string& init, LrScale scale);
};

/// Draws the latent weight, unless the architecture's start or a trained network's weights stay.
/// Throws Error(configuration) when the experiment asks for both.
void draw(const char* method, const Start& start, const SlotContext& context, at::Tensor& latent);

}  // namespace qhost::latent
