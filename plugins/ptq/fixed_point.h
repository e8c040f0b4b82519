/// ptq_fixed_point: weights as n-bit integers times a power of two (course "cours2"; the search is
/// in exponent.h).
///
///     W^ = 2^v * clamp(round(2^-v * W), -2^(n-1), 2^(n-1) - 1)      2 <= n <= 8, half to even
///     W^ = 2^v * sign(W), sign(0) = +1                              n = 1
///
/// W has the weight's shape, [Cout, Cin/groups, kh, kw] or [out, in]. v maximizes the
/// signal-to-quantization-noise ratio of the scope: one v for all weights of the rule (network),
/// for each layer (layer), or for each output filter (channel). With n = 1 the value 0 does not
/// exist: a scope of zeros alone has the smallest v, -126, whose noise is the least. With more bits
/// 0 is exact.
///
/// layer and channel are functions of the weight alone. network needs all weights of the rule at
/// once, which no single slot sees: the slots share an object, hand it their weight when they are
/// initialized, calibrated and after each optimizer step, and the last one's arrival makes the
/// search. v is state of each slot and stands in checkpoints.
///
/// Gradient (training = "quantized"): 1 where the rounded code does not saturate, else 0; for
/// n = 1 it is 1 everywhere.
#pragma once

#include <memory>
#include <vector>

#include "qhost/options.h"
#include "qhost/quantizer.h"
#include "training.h"

namespace qhost::ptq {

enum class Scope { network, layer, channel };

struct FixedPointSettings {
  int bits = 8;
  Scope scope = Scope::layer;
  Training training = Training::as_float;
  static FixedPointSettings from(const Options& options);
};

/// The exponent that the weights of one rule share (scope = "network").
class SharedExponent {
 public:
  explicit SharedExponent(int bits) : bits_(bits) {}
  /// A new slot, whose exponent is written into `exponent` and marked in `known` (both scalars).
  std::size_t add_slot(const at::Tensor& exponent, const at::Tensor& known);
  /// The slot's weight now. The search runs when all slots have reported.
  void report(std::size_t slot, const at::Tensor& latent);
  std::size_t slots() const { return members_.size(); }
  /// Slots that have reported since the last search.
  std::size_t reported() const;

 private:
  struct Member {
    at::Tensor exponent, known;
    at::Tensor latent;  // undefined until the slot reports
  };
  int bits_;
  std::vector<Member> members_;
};

class FixedPointWeight : public WeightQuantizer {
 public:
  /// `shared` is null unless the scope is the network.
  FixedPointWeight(const FixedPointSettings& settings, std::shared_ptr<SharedExponent> shared);

  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  void observe(const SlotContext& context, const at::Tensor& latent) override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  /// Throws Error(internal) for a shared exponent that was never chosen.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  /// 2^v, a scalar or [Cout].
  at::Tensor step(const SlotContext& context, const at::Tensor& latent) const;
  FixedPointSettings settings_;
  std::shared_ptr<SharedExponent> shared_;
  std::size_t slot_ = 0;
  at::Tensor exponent_, known_;  // scalars; scope = "network" only
};

QuantizerMethod fixed_point_method();

}  // namespace qhost::ptq
