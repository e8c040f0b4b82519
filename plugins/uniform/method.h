/// Uniform levels over the range of the values, for weights or inputs of a rule of their own:
/// affine or symmetric, one grid a tensor or a channel. The grid's formulas, the straight-through
/// gradient and its mask are in grid.h.
///
///     [[quantizer]]                  [[quantizer]]
///     name = "bwn"                   name = "uniform"
///     roles = ["weight"]             roles = ["input"]
///
/// The range, between the extremes or the percentiles of
///
///     weights   the latent weights of this moment; by default symmetric, one for each output
///               channel. Nothing is kept.
///     inputs    by default affine, one for the tensor, and
///               moving_average   training moves it: low += momentum * (low of the batch - low),
///                                high alike, before the batch is quantized; the first batch sets
///                                both. Until then 0 and 1.
///               calibrated       what calibration saw, and stays: the extremes of all its batches,
///                                or with percentile < 100 the mean of the batches' percentiles
///
/// (Jacob et al., CVPR 2018, arXiv 1712.05877; Krishnamoorthi, 2018, arXiv 1806.08342. Their
/// folding of batch norms is left out.)
///
/// The level 0 exists, so there is no sign of 0 to choose. The latent weights are not clipped. All
/// layers by default, the first and the last included. Input grids of their own for each channel
/// leave no common factor: such a convolution runs on floats.
#pragma once

#include <memory>
#include <vector>

#include "grid.h"
#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::uniform {

/// What "auto" leaves to the role.
enum class Scheme { by_role, affine, symmetric };
enum class Granularity { by_role, tensor, channel };

struct Settings {
  int bits = 8;
  Scheme scheme = Scheme::by_role;
  Granularity granularity = Granularity::by_role;
  double percentile = 100;
  bool calibrated = false;
  double momentum = 0.01;
  static Settings from(const Options& options);
};

/// The options of `[quantizer] name = "uniform"`.
std::vector<Option> options();

/// The grid of one role.
struct Layout {
  Layout(const Settings& settings, Role role);
  Encoding encoding() const;
  Grid grid(const Range& range) const { return grid_of(range, grouping, symmetric, bits); }
  Range range(const at::Tensor& v) const { return range_of(v, grouping, symmetric, percentile); }

  int bits;
  bool symmetric;
  Grouping grouping;
  double percentile;
};

/// One slot's weights.
class UniformWeight : public WeightQuantizer {
 public:
  explicit UniformWeight(const Settings& settings) : layout_(settings, Role::weight) {}

  Encoding encoding(const SlotInfo& slot) const override;
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override;
  /// Throws Error(diverged) if a step is not finite.
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override;

 private:
  Layout layout_;
};

/// One slot's inputs.
class UniformInput : public InputQuantizer {
 public:
  UniformInput(const Settings& settings, const SlotInfo& slot);

  Encoding encoding(const SlotInfo& slot) const override;
  std::vector<SlotParameter> parameters() override;
  void initialize(const SlotContext& context) override;
  void observe(const SlotContext& context, const at::Tensor& x) override;
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override;
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override;

 private:
  void move(const at::Tensor& x);
  Layout layout_;
  bool calibrated_;
  double momentum_;
  Range range_;         // state: scalars or [channels]
  at::Tensor batches_;  // state: how many batches the range has seen
};

/// The configured method: weights and inputs of conv2d and linear nodes.
class Uniform : public Quantizer {
 public:
  explicit Uniform(const Settings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override;
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override;
  Traits traits() const override;

 private:
  Settings settings_;
};

/// What the plugin registers.
QuantizerMethod method();

}  // namespace qhost::uniform
