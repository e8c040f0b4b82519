/// Learned Step Size Quantization (Esser, McKinstry, Bablani, Appuswamy, Modha, ICLR 2020, arXiv
/// 1902.08153): uniform levels, whose distance s is trained with the weights. The formulas of the
/// quantizer and its derivatives are in learned_step.h.
///
///     weights   levels -2^(b-1) .. 2^(b-1) - 1
///     inputs    levels 0 .. 2^b - 1, or those of the weights where they can be negative
///               (signed_inputs = "auto"; true: everywhere; false: nowhere, so that what is
///               negative becomes 0, of which the host warns)
///
/// One s for a layer's weights and one for its inputs, float32 scalars, trained with the weights'
/// learning rate (step_learning_rate multiplies it) and without weight decay (step_weight_decay).
/// Its gradient is multiplied by g = 1/sqrt(N * Qp); N is the number of the layer's weights, or of
/// the features of one sample (not of the batch, as some public code has it).
///
/// First step, 2 * mean|v| / sqrt(Qp): for weights of the initial ones; for inputs of the first
/// batch of training that the slot sees. Until then s = 1.
///
/// The level 0 exists, so there is no sign of 0 to choose. The latent weights are not clipped.
///
/// The first and the last layer have first_last_bits, 8 as in the paper (section 2.3), for weights
/// and inputs; keep_float = ["first", "last"] leaves them in float. The first layer's inputs are
/// those of the network, of both signs once normalized: they always take the levels of the weights.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "learned_step.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::lsq {

/// Which inputs have levels on both sides of 0. `where_negative`: those that can be negative, as
/// SlotInfo::non_negative tells, where there are 2 bits or more.
enum class SignedInputs { where_negative, always, never };

struct Settings {
  int weight_bits = 4;
  int input_bits = 4;
  int first_last_bits = 8;  ///< of the first and the last layer
  SignedInputs signed_inputs = SignedInputs::where_negative;
  double step_learning_rate = 1;  ///< multiplies the experiment's
  double step_weight_decay = 0;

  /// The bits of a slot's weights, or inputs.
  int bits(const SlotInfo& slot) const;
  /// Whether a slot's inputs have levels on both sides of 0.
  bool is_signed(const SlotInfo& slot) const;
  /// Throws OptionError for signed inputs of one bit, whose Qp would be 0.
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "lsq"`.
std::vector<Option> options();

/// One slot's weights.
class LearnedStepWeight : public WeightQuantizer {
 public:
  LearnedStepWeight(const Settings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context, at::Tensor& latent) override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  void after_step(const SlotContext& context, at::Tensor& latent) override;
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Settings settings_;
  int bits_;
  Levels levels_;
  double gradient_scale_;
  at::Tensor step_;  // scalar, learned
};

/// One slot's inputs.
class LearnedStepInput : public InputQuantizer {
 public:
  LearnedStepInput(const Settings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  InputRange range() const override;
  std::string range_advice() const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context) override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  void after_step(const SlotContext& context) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  Settings settings_;
  int bits_;
  bool signed_;
  Levels levels_;
  double gradient_scale_;
  at::Tensor step_;     // scalar, learned
  at::Tensor started_;  // scalar: 1 once the first batch has set the step
};

/// The configured method: weights and inputs of conv2d and linear nodes.
class LearnedStepSize : public Quantizer {
 public:
  explicit LearnedStepSize(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::lsq
