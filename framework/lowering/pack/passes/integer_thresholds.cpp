#include "lowering/pack/passes/integer_thresholds.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "lowering/pack/rewrite.h"
#include "packed/integer_sums.h"

namespace qhost::packing {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

constexpr int most_thresholds = 15;
constexpr double largest_sum = 1 << 30;  ///< as why_invalid() has it

struct Bounds {
  double low = 0, high = 0;
};

/// The smallest and largest level of each input channel; one entry where all have the same.
std::vector<Bounds> bounds_of_input(const Step& input) {
  const std::int64_t rows = input.codes->zero_point.size() > 1 ? input.channels() : 1;
  std::vector<Bounds> all;
  for (std::int64_t c = 0; c < rows; ++c) {
    const std::vector<float> levels = packed::levels(*input.codes, c);
    const auto [low, high] = std::minmax_element(levels.begin(), levels.end());
    all.push_back({*low, *high});
  }
  return all;
}

/// A conv2d or linear step with integer sums.
class Sums {
 public:
  Sums(const Program& program, const Step& step)
      : step_(step),
        unit_(packed::unit(*step.weight) * program.step(step.inputs[0]).codes->unit()),
        inputs_(bounds_of_input(program.step(step.inputs[0]))),
        levels_(packed::levels(*step.weight)) {
    if (step.padding == Size2(0)) return;
    for (Bounds& bounds : inputs_) {
      bounds.low = std::min<double>(bounds.low, step.padding_level);
      bounds.high = std::max<double>(bounds.high, step.padding_level);
    }
  }

  int unit() const { return unit_; }

  /// The bound of packed::why_invalid().
  double limit() const {
    double weight = 0, value = 0;
    for (const float level : levels_) weight = std::max<double>(weight, std::abs(level));
    for (const Bounds& bounds : inputs_) {
      value = std::max({value, std::abs(bounds.low), std::abs(bounds.high)});
    }
    return weight * value * unit_ * static_cast<double>(taps());
  }

  /// Of u * sum, for the filter of an output channel.
  Bounds range(std::int64_t c) const {
    const auto per_input = step_.kernel.height * step_.kernel.width;
    const std::int64_t inputs = taps() / (step_.op == StepOp::conv2d ? per_input : 1);
    const std::int64_t first = c / (step_.channels() / step_.groups) * inputs;
    Bounds sum;
    for (std::int64_t tap = 0; tap < taps(); ++tap) {
      const std::int64_t input = first + tap / (taps() / inputs);
      const Bounds& x = inputs_.size() == 1 ? inputs_[0] : inputs_[static_cast<std::size_t>(input)];
      const double w = levels_[static_cast<std::size_t>(c * taps() + tap)];
      sum.low += std::min(w * x.low, w * x.high);
      sum.high += std::max(w * x.low, w * x.high);
    }
    return {sum.low * unit_, sum.high * unit_};
  }

 private:
  std::int64_t taps() const { return static_cast<std::int64_t>(levels_.size()) / step_.channels(); }

  const Step& step_;
  int unit_;
  std::vector<Bounds> inputs_;
  std::vector<float> levels_;
};

bool is_monotone(const Step& step) {
  if (step.op == StepOp::affine) return true;
  if (step.op != StepOp::activation) return false;
  switch (step.activation) {
    case Activation::relu:
    case Activation::relu6:
    case Activation::hardtanh:
      return true;
    case Activation::leaky_relu:
      return step.slope >= 0;
    default:
      return false;
  }
}

float activated(const Step& step, float y) {
  switch (step.activation) {
    case Activation::relu:
      return std::max(y, 0.0F);
    case Activation::relu6:
      return std::min(std::max(y, 0.0F), 6.0F);
    case Activation::hardtanh:
      return std::min(std::max(y, -1.0F), 1.0F);
    default:
      return y > 0 ? y : y * static_cast<float>(step.slope);
  }
}

/// From the sums of one step to the codes of an encode step, as evaluation computes it.
struct Chain {
  const Step* sums = nullptr;
  std::vector<const Step*> between;
  const Step* encode = nullptr;
  int encode_index = -1;
  int unit = 1;

  float value(std::int64_t c, std::int64_t sum) const {
    float y = static_cast<float>(sum) / static_cast<float>(unit);
    if (!sums->scale.empty()) y = y * of_channel(sums->scale, c);
    if (!sums->bias.empty()) y = y + of_channel(sums->bias, c);
    for (const Step* step : between) {
      y = step->op == StepOp::affine
              ? std::fma(y, of_channel(step->scale, c), of_channel(step->bias, c))
              : activated(*step, y);
    }
    return y;
  }
  int code(std::int64_t c, std::int64_t sum) const {
    const float y = value(c, sum);
    int code = 0;
    while (code < encode->codes->count() - 1 && y >= threshold(*encode, c, code)) ++code;
    return code;
  }
};

std::optional<Chain> chain_from(const Program& program, int index) {
  Chain chain{.sums = &program.step(index)};
  for (int reader = sole_reader(program, index); reader >= 0;
       reader = sole_reader(program, reader)) {
    const Step& step = program.step(reader);
    if (step.op == StepOp::encode && step.direction.empty()) {
      chain.encode = &step;
      chain.encode_index = reader;
      return chain;
    }
    if (!is_monotone(step)) return {};
    chain.between.push_back(&step);
  }
  return {};
}

struct Row {
  std::vector<std::int32_t> thresholds;
  std::int8_t direction = 1;
};

/// Empty where some value is NaN.
std::optional<Row> row(const Chain& chain, std::int64_t c, const Bounds& range) {
  auto low = static_cast<std::int64_t>(range.low), high = static_cast<std::int64_t>(range.high);
  // Infinity is reached at an end first, and only from there NaN.
  if (std::isnan(chain.value(c, low)) || std::isnan(chain.value(c, high))) return {};
  Row row;
  if (chain.code(c, low) > chain.code(c, high)) {
    row.direction = -1;
    std::swap(low, high);
    low = -low;
    high = -high;
  }
  for (int j = 0; j < chain.encode->codes->count() - 1; ++j) {
    std::int64_t fails = low - 1, holds = high + 1;
    while (holds - fails > 1) {
      const std::int64_t middle = fails + (holds - fails) / 2;
      (chain.code(c, row.direction * middle) > j ? holds : fails) = middle;
    }
    row.thresholds.push_back(static_cast<std::int32_t>(holds));
  }
  return row;
}

bool has_integer_sums(const Program& program, const Step& step) {
  if (!has_weight(step) || step.position || !step.sum_thresholds.empty()) return false;
  const Step& input = program.step(step.inputs[0]);
  return input.codes && input.codes->unit() != 0 && packed::unit(*step.weight) != 0 &&
         step.padding_level * static_cast<float>(input.codes->unit()) ==
             std::round(step.padding_level * static_cast<float>(input.codes->unit()));
}

/// Sums beyond 2^24 stay exact only where they are compared as integers.
bool stay_exact(const Program& program, const Step& step, const Sums& sums, const Step& encode) {
  if (sums.limit() <= packed::largest_exact_float) return true;
  const packed::Codes& input = *program.step(step.inputs[0]).codes;
  return encode.codes->count() == 2 && sums.limit() <= largest_sum &&
         (packed::has_binary_sums(step, input) || packed::has_byte_sums(step, input));
}

void fuse(Program& program, int index) {
  Step& step = program.step(index);
  if (!has_integer_sums(program, step)) return;
  std::optional<Chain> chain = chain_from(program, index);
  const Sums sums(program, step);
  if (!chain || chain->encode->codes->count() - 1 > most_thresholds ||
      !stay_exact(program, step, sums, *chain->encode)) {
    return;
  }
  chain->unit = sums.unit();
  std::vector<std::int32_t> thresholds;
  std::vector<std::int8_t> direction;
  for (std::int64_t c = 0; c < step.channels(); ++c) {
    const std::optional<Row> found = row(*chain, c, sums.range(c));
    if (!found) return;
    thresholds.insert(thresholds.end(), found->thresholds.begin(), found->thresholds.end());
    direction.push_back(found->direction);
  }
  step.sum_thresholds = std::move(thresholds);
  if (std::count(direction.begin(), direction.end(), -1) > 0) step.direction = std::move(direction);
  step.codes = chain->encode->codes;
  step.scale.clear();
  step.bias.clear();
  redirect(program, chain->encode_index, index);
}

}  // namespace

void integer_thresholds(Program& program) {
  for (std::size_t i = 0; i < program.steps.size(); ++i) fuse(program, static_cast<int>(i));
}

}  // namespace qhost::packing
