/// qhost/stateless_quantizer.h: a weight quantizer that is its formula.
///
/// A method without state gives the encoding, the codes of a weight and the gradient. What training
/// computes with follows: forward(w) = decode(encode(w)), and dC/dw = gradient(w, dC/dforward(w)).
///
///     // BWN: W~ = alpha * sign(W), alpha = mean |W| of each filter; dC/dW = dC/dW~
///     class Bwn : public qhost::StatelessWeight {
///       Encoding encoding(const SlotInfo&) const override {
///         return Encoding::binary(ScaleKind::channel);
///       }
///       Encoded encode(const SlotContext& context, const at::Tensor& w) override {
///         return {.encoding = encoding(*context.slot),
///                 .codes = ste::sign_codes(w),
///                 .scale = ste::filter_mean(at::abs(w))};
///       }
///     };
///
///     QHOST_PLUGIN(my_bwn, "Binary-Weight-Network", "Apache-2.0", "https://example.org/my_bwn") {
///       registrar.add_quantizer({.name = "my_bwn",
///                                .summary = "binary weights times the mean |W| of their filter",
///                                .paper = "arXiv 1603.05279",
///                                .create = stateless<Bwn>});
///     }
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "qhost/quantizer.h"

namespace qhost {

/// See qhost/quantizer.h for encoding() and encode(), which a method gives, and for the other
/// calls, which it may give: parameters() alone stays empty. encode() is called while training too,
/// and must not depend on context.mode, .step or .member.
class QHOST_API StatelessWeight : public WeightQuantizer {
 public:
  ~StatelessWeight() override;

  /// dC/dw for G = dC/dforward(w). `w` is what forward() saw; all have its shape. The default is
  /// the straight-through estimator: G itself.
  ///
  /// Runs in the backward pass, without recording, and may throw like the calls of
  /// WeightQuantizer. It must not change `w` or `g`.
  virtual at::Tensor gradient(const SlotContext& context, const at::Tensor& w,
                              const at::Tensor& g) const;

  /// decode(encode(context, latent)) in the memory order of `latent`. The object must live until
  /// the backward pass is over.
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) final;
};

/// A method of weights alone: each slot has a copy of one Weight.
template <class Weight>
class StatelessQuantizer : public Quantizer {
 public:
  explicit StatelessQuantizer(Weight weight) : weight_(std::move(weight)) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<Weight>(weight_);
  }

 private:
  Weight weight_;
};

/// QuantizerMethod::create of such a method. Weight is made from the options where it has a
/// constructor for them, which may throw OptionError; else it has no options.
template <class Weight>
std::unique_ptr<Quantizer> stateless(const Options& options) {
  if constexpr (std::is_constructible_v<Weight, const Options&>) {
    return std::make_unique<StatelessQuantizer<Weight>>(Weight(options));
  } else {
    return std::make_unique<StatelessQuantizer<Weight>>(Weight());
  }
}

}  // namespace qhost
