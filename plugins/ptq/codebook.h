/// ptq_codebook: weights that share 2^bits values, found by k-means (Han, Mao, Dally, Deep
/// Compression, ICLR 2016, arXiv 1510.00149, section 3).
///
///     W^ = table[q],  q = the entry nearest to W; of two equally near ones the lower
///
/// W has the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]. The table has [2^bits]
/// entries for a layer, [Cout, 2^bits] for channels, ascending: the centers of k_means.h, rounded
/// to float32. It is computed anew from the weights whenever it is needed, so there is no state.
///
/// Gradient (training = "quantized"): 1.
#pragma once

#include <memory>
#include <vector>

#include "k_means.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"
#include "training.h"

namespace qhost::ptq {

struct CodebookSettings {
  int bits = 4;
  bool per_channel = false;
  CenterStart start = CenterStart::linear;
  int iterations = 100;
  Training training = Training::as_float;
  static CodebookSettings from(const Options& options);
};

class CodebookWeight : public WeightQuantizer {
 public:
  explicit CodebookWeight(const CodebookSettings& settings) : settings_(settings) {}
  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  CodebookSettings settings_;
};

QuantizerMethod codebook_method();

}  // namespace qhost::ptq
