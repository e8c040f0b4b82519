/// Binary-Weight-Network (Rastegari, Ordonez, Redmon, Farhadi, ECCV 2016, arXiv 1603.05279):
/// each filter is approximated by a scale times a pattern of -1 and +1. Formulas and gradients are
/// in plugins/shared/scaled_sign.h; `authors_code` belongs to XNOR-Net alone.
#pragma once

#include <memory>
#include <vector>

#include "../shared/scaled_sign.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::bwn {

/// The options of `[quantizer] name = "bwn"`.
std::vector<Option> options();

/// The configured method.
class BinaryWeightNetwork : public Quantizer {
 public:
  explicit BinaryWeightNetwork(scaled_sign::Gradient gradient) : gradient_(gradient) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;

 private:
  scaled_sign::Gradient gradient_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::bwn
