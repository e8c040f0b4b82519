// Uniform levels over the range of the values, affine or symmetric, one grid a tensor or a channel,
// for weights or for inputs of a rule of their own (Jacob et al., CVPR 2018, arXiv 1712.05877;
// Krishnamoorthi, 2018, arXiv 1806.08342; their folding of batch norms is left out).
//
//     [[quantizer]]                  [[quantizer]]
//     name = "bwn"                   name = "uniform"
//     roles = ["weight"]             roles = ["input"]
//
// The grid of the range [lo, hi]:
//
//     affine       lo <- min(lo, 0), hi <- max(hi, 0)
//                  s = (hi - lo) / n,  n = 2^bits - 1
//                  z = clip(round(-lo / s), 0, n)
//     symmetric    s = max(|lo|, |hi|) / Q,  Q = 2^(bits-1) - 1
//                  z = Q,  n = 2Q                     (the levels -Q .. Q: one less than 2^bits)
//
//     code    q  = clip(round(v / s) + z, 0, n)       (round half to even)
//     value   v^ = s * (q - z)                        (0 is a level: zero padding stays exact)
//     dC/dv   = dC/dv^ where 0 <= round(v / s) + z <= n, else 0; none to the range
//
// s is at least `smallest_step`, so that a constant 0 has a grid.
//
// The range, between the extremes or the percentiles of
//
//     weights   the latent weights of this moment; by default symmetric, one for each output
//               channel. Nothing is kept.
//     inputs    by default affine, one for the tensor, and
//               moving_average   training moves it: low += momentum * (low of the batch - low),
//                                high alike, before the batch is quantized; the first batch sets
//                                both. Until then 0 and 1.
//               calibrated       the extremes of all batches of the calibration, or with
//                                percentile < 100 the mean of the batches' percentiles; it stays
//
// A level is 0, so there is no sign of 0 to choose. The latent weights are not clipped. All layers
// are quantized by default, the first and the last included. Input grids of their own for each
// channel leave no common factor: such a convolution runs on floats.
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/kthvalue.h>
#include <ATen/ops/le.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/round.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "qhost/error.h"
#include "qhost/options.h"
#include "qhost/plugin.h"
#include "qhost/stateless_quantizer.h"
#include "qhost/ste.h"

namespace {

using namespace qhost;

constexpr double smallest_step = 1e-12;

/// Scalars, or [channels].
struct Range {
  at::Tensor low, high;
};

struct Grid {
  at::Tensor step;           ///< s: scalar or [channels]
  at::Tensor zero;           ///< z: float32, whole numbers; scalar, or like `step` if affine
  std::int64_t largest = 0;  ///< n
};

/// How the options lay out the grids of one role.
class Layout {
 public:
  Layout(const Options& options, Role role)
      : bits_(static_cast<int>(options.integer("bits"))),
        symmetric_(is("symmetric", options.string("scheme"), role)),
        per_channel_(is("channel", options.string("granularity"), role)),
        dimension_(role == Role::weight ? 0 : 1),
        percentile_(options.real("percentile")) {}

  bool per_channel() const { return per_channel_; }
  bool takes_extremes() const { return percentile_ >= 100; }

  Encoding encoding() const {
    // A symmetric grid has the same zero point in every channel.
    return Encoding::uniform(
        bits_, per_channel_ ? ScaleKind::channel : ScaleKind::tensor,
        per_channel_ && !symmetric_ ? ZeroPointKind::channel : ZeroPointKind::tensor);
  }

  /// The smallest and the largest value; with percentile p < 100 the values of rank n + 1 - k and
  /// k = ceil(n * p / 100) of the n values in ascending order. For a symmetric grid -h and h, h
  /// that rank of |v|.
  Range range(const at::Tensor& v) const {
    const at::Tensor values = symmetric_ ? at::abs(v) : v;
    Range range;
    if (takes_extremes()) {
      range.high = at::amax(values, covered(v));
      if (!symmetric_) range.low = at::amin(values, covered(v));
    } else {
      const at::Tensor rows = rows_of(values);
      const std::int64_t n = rows.size(1);
      // The small number takes back what the product's rounding may have added to a whole rank.
      const double rank = std::ceil(static_cast<double>(n) * percentile_ / 100 - 1e-6);
      const auto k = std::clamp(static_cast<std::int64_t>(rank), std::int64_t{1}, n);
      range.high = ranked(rows, k);
      if (!symmetric_) range.low = ranked(rows, n + 1 - k);
    }
    if (symmetric_) range.low = range.high.neg();
    return range;
  }

  Grid grid(const Range& range) const {
    Grid grid;
    if (symmetric_) {
      const std::int64_t q = (std::int64_t{1} << (bits_ - 1)) - 1;
      grid.largest = 2 * q;
      grid.step = at::maximum(at::abs(range.low), at::abs(range.high)).div_(q);
      grid.step.clamp_min_(smallest_step);
      grid.zero = at::full({}, q, range.low.options());
    } else {
      grid.largest = (std::int64_t{1} << bits_) - 1;
      const at::Tensor low = range.low.clamp_max(0);
      grid.step = range.high.clamp_min(0).sub_(low).div_(grid.largest).clamp_min_(smallest_step);
      grid.zero = at::round(low.div(grid.step)).neg_().clamp_(0, grid.largest);
    }
    return grid;
  }

  /// round(v / s) + z.
  at::Tensor unclipped(const at::Tensor& v, const Grid& grid) const {
    return v.div(ste::along(grid.step, v, dimension_))
        .round_()
        .add_(ste::along(grid.zero, v, dimension_));
  }

  Encoded encode(const at::Tensor& v, const Grid& grid) const {
    return {.encoding = encoding(),
            .codes = unclipped(v, grid).clamp_(0, grid.largest).to(at::kByte),
            .scale = grid.step,
            .zero_point = grid.zero.mul(2).to(at::kInt)};  // in half steps
  }

  /// v^, differentiable with respect to v.
  at::Tensor quantize(const at::Tensor& v, const Grid& grid) const {
    at::Tensor code = unclipped(v.detach(), grid);
    const at::Tensor inside = is_inside(code, grid);
    code.clamp_(0, grid.largest)
        .sub_(ste::along(grid.zero, v, dimension_))
        .mul_(ste::along(grid.step, v, dimension_));
    return ste::straight_through(v, code, inside);
  }

  static at::Tensor is_inside(const at::Tensor& unclipped_code, const Grid& grid) {
    return at::ge(unclipped_code, 0).logical_and_(at::le(unclipped_code, grid.largest));
  }

 private:
  /// "auto" is what a weight has by default: symmetric, per channel.
  static bool is(const char* word, const std::string& option, Role role) {
    return option == "auto" ? role == Role::weight : option == word;
  }

  /// The dimensions that a range covers.
  std::vector<std::int64_t> covered(const at::Tensor& v) const {
    std::vector<std::int64_t> dimensions;
    for (std::int64_t d = 0; d < v.dim(); ++d) {
      if (!per_channel_ || d != dimension_) dimensions.push_back(d);
    }
    return dimensions;
  }

  /// A row for each range.
  at::Tensor rows_of(const at::Tensor& v) const {
    if (!per_channel_) return v.reshape({1, -1});
    return v.transpose(0, dimension_).reshape({v.size(dimension_), -1});
  }

  /// The k-th smallest value of each row, k from 1.
  at::Tensor ranked(const at::Tensor& rows, std::int64_t k) const {
    const at::Tensor value = std::get<0>(at::kthvalue(rows, k, 1));
    return per_channel_ ? value : value.reshape({});
  }

  int bits_;
  bool symmetric_, per_channel_;
  std::int64_t dimension_;  // of the channels
  double percentile_;
};

class UniformWeight : public StatelessWeight {
 public:
  explicit UniformWeight(const Layout& layout) : layout_(layout) {}

  Encoding encoding(const SlotInfo&) const override { return layout_.encoding(); }

  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    const at::Tensor w = latent.detach();
    return layout_.encode(w, layout_.grid(layout_.range(w)));
  }

  at::Tensor gradient(const SlotContext&, const at::Tensor& w, const at::Tensor& g) const override {
    const Grid grid = layout_.grid(layout_.range(w));
    return ste::masked(g, Layout::is_inside(layout_.unclipped(w, grid), grid));
  }

 private:
  Layout layout_;
};

class UniformInput : public InputQuantizer {
 public:
  UniformInput(const Layout& layout, bool calibrated, double momentum, const SlotInfo& slot)
      : layout_(layout),
        calibrated_(calibrated),
        momentum_(momentum),
        batches_(at::zeros({}, at::kFloat)) {
    std::vector<std::int64_t> shape;
    if (layout_.per_channel()) shape.push_back(slot.shape.at(0));
    range_.low = at::zeros(shape, at::kFloat);
    range_.high = at::ones(shape, at::kFloat);
  }

  Encoding encoding(const SlotInfo&) const override { return layout_.encoding(); }

  std::vector<SlotParameter> parameters() override {
    return {{.name = "low", .tensor = range_.low, .trainable = false},
            {.name = "high", .tensor = range_.high, .trainable = false},
            {.name = "batches", .tensor = batches_, .trainable = false}};
  }

  void initialize(const SlotContext&) override {
    range_.low.fill_(0);
    range_.high.fill_(1);
    batches_.fill_(0);
  }

  void observe(const SlotContext&, const at::Tensor& x) override {
    if (!calibrated_) return;  // another rule asked for the calibration
    const at::NoGradGuard no_grad;
    const Range batch = layout_.range(x);
    batches_.add_(1);
    const at::Tensor first = batches_.eq(1);
    if (layout_.takes_extremes()) {
      range_.low.copy_(at::where(first, batch.low, at::minimum(range_.low, batch.low)));
      range_.high.copy_(at::where(first, batch.high, at::maximum(range_.high, batch.high)));
    } else {
      move_to(batch, batches_.reciprocal());  // the mean of the batches seen so far, in one pass
    }
  }

  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    if (context.mode == Mode::train && !calibrated_) {
      const at::NoGradGuard no_grad;
      // By a tensor, not by a branch: no device has to report before the next kernel starts.
      move_to(layout_.range(x.detach()), at::where(batches_.eq(0), 1.0, momentum_).to(at::kFloat));
      batches_.add_(1);
    }
    return {.value = layout_.quantize(x, layout_.grid(range_))};
  }

  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    if (batches_.item<float>() == 0) {
      throw Error(ErrorKind::configuration,
                  "uniform: the range of the inputs of " + context.slot->node +
                      " comes from training batches, and there was none",
                  "train for a step or more, or set range = \"calibrated\"");
    }
    return {.codes = layout_.encode(x.detach(), layout_.grid(range_))};
  }

 private:
  void move_to(const Range& batch, const at::Tensor& share) {
    range_.low.lerp_(batch.low, share);
    range_.high.lerp_(batch.high, share);
  }

  Layout layout_;
  bool calibrated_;
  double momentum_;
  Range range_;         // state: scalars or [channels]
  at::Tensor batches_;  // state: how many batches the range has seen
};

/// Weights and inputs of conv2d and linear nodes.
class Uniform : public Quantizer {
 public:
  explicit Uniform(const Options& options)
      : weights_(options, Role::weight),
        inputs_(options, Role::input),
        calibrated_(options.string("range") == "calibrated"),
        momentum_(options.real("momentum")) {}

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<UniformWeight>(weights_);
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (slot.op != Op::conv2d && slot.op != Op::linear) return nullptr;
    return std::make_unique<UniformInput>(inputs_, calibrated_, momentum_, slot);
  }
  Traits traits() const override {
    Traits traits;
    traits.needs_calibration = calibrated_;
    return traits;
  }

 private:
  Layout weights_, inputs_;
  bool calibrated_;
  double momentum_;
};

std::vector<Option> options() {
  return {
      Option::integer("bits", 8, "of a weight or an input").at_least(2).at_most(8),
      Option::string("scheme", "auto",
                     "affine: from the smallest to the largest value; symmetric: as far on both "
                     "sides of 0; auto: symmetric for weights, affine for inputs")
          .one_of({"auto", "affine", "symmetric"}),
      Option::string("granularity", "auto",
                     "what has a grid of its own; auto: the channel of weights, the tensor of "
                     "inputs")
          .one_of({"auto", "tensor", "channel"}),
      Option::real("percentile", 100.0,
                   "of the values that the range holds on either side; 100: all of them")
          .above(50)
          .at_most(100),
      Option::string("range", "moving_average",
                     "of inputs; moving_average: training moves it; calibrated: measured before "
                     "the first step and left alone")
          .one_of({"moving_average", "calibrated"}),
      Option::real("momentum", 0.01, "weight of a batch in the moving average").above(0).at_most(1),
  };
}

}  // namespace

QHOST_PLUGIN(uniform, "Uniform weights or inputs whose range follows the values", "Apache-2.0",
             "qhost") {
  registrar.add_quantizer({
      .name = "uniform",
      .summary = "uniform levels over the range of the weights or inputs, affine or symmetric",
      .paper = "Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, "
               "2018, arXiv 1806.08342",
      .options = options(),
      .roles = {Role::weight, Role::input},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<Uniform>(given);
      },
  });
}
