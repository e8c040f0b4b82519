/// XNOR-Net (Rastegari, Ordonez, Redmon, Farhadi, ECCV 2016, arXiv 1603.05279): binary weights with
/// a scale per filter, and binary inputs.
///
///     I * W  ~  (sign(I) conv sign(W)) . K * alpha                (Eq. 11)
///
/// Weights: sign_weight.h and plugins/shared/scaled_sign.h. Inputs and K: sign_input.h.
///
/// What papers and programs differ in, and what is done here:
///     sign(0)        +1, of weights and inputs
///     padding        zeros: a third value at the border of a padded convolution
///     first, last    float, unless keep_float says otherwise
///     ReLU           a sign of what a ReLU gives would always be +1: the host lets the input read
///     what
///                    the ReLU reads, or refuses and names both nodes
#pragma once

#include <memory>
#include <vector>

#include "../shared/scaled_sign.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"
#include "sign_input.h"

namespace qhost::xnornet {

struct Settings {
  scaled_sign::Gradient gradient = scaled_sign::Gradient::algorithm1;
  InputScale input_scale = InputScale::detached;
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "xnornet"`.
std::vector<Option> options();

/// The configured method.
class XnorNet : public Quantizer {
 public:
  explicit XnorNet(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  /// Null for what is no convolution and no linear layer.
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::xnornet
