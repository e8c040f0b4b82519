#include "model/input_codes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "common/number_text.h"
#include "lowering/pack/float_order.h"
#include "packed/halves.h"
#include "qhost/random.h"

namespace qhost {
namespace {

using packing::float_of;
using packing::FloatSearch;
using packing::largest_order;
using packing::order_of;

template <class Value>
std::vector<Value> numbers(const at::Tensor& tensor, at::ScalarType type) {
  if (!tensor.defined()) return {};
  const at::Tensor values = tensor.detach().to(at::kCPU, type).contiguous();
  const auto* data = values.const_data_ptr<Value>();
  return {data, data + values.numel()};
}

/// Thrown inside of the search, and kept in the result.
struct Refusal {
  std::string reason, help;
};

class Search {
 public:
  Search(const PlannedSlot& slot, const std::function<EncodedInput(const at::Tensor&)>& encode)
      : slot_(slot), encode_(encode), channels_(slot.info.shape.at(0)) {
    for (std::size_t i = 1; i < slot.info.shape.size(); ++i) positions_ *= slot.info.shape[i];
  }

  InputCodes result() {
    try {
      probe();
      if (result_.rounding != CodeKind::float32) {
        test_rounding();
        return result_;
      }
      search();
      test();
    } catch (const Refusal& refusal) {
      return {.refusal = refusal.reason, .help = refusal.help};
    }
    std::vector<float>& t = result_.thresholds;
    bool equal = true;
    for (std::size_t i = 0; i < t.size(); ++i) equal = equal && t[i] == t[i % steps_];
    if (equal) t.resize(steps_);
    return result_;
  }

 private:
  std::string method() const { return "the method `" + slot_.method + "` "; }

  std::string without_inputs() const {
    return "roles = [\"weight\"] in the rule of `" + slot_.method + "` leaves inputs in float";
  }

  [[noreturn]] void refuse_scale() const {
    throw Refusal{method() +
                      "computes its scale from each batch, and a packed network needs "
                      "thresholds that stand",
                  "choose an option of `" + slot_.method +
                      "` that learns or calibrates the scale of inputs; " + without_inputs()};
  }

  [[noreturn]] void refuse_function(const std::string& what) const {
    throw Refusal{method() + what, without_inputs()};
  }

  /// [N, C, ...] with sample n, position p of channel c = points[c][n * positions + p]; `count`
  /// points a channel, the rest repeats the last.
  at::Tensor tensor_of(const std::vector<float>& points, std::int64_t count) const {
    const std::int64_t samples = (count + positions_ - 1) / positions_;
    at::Tensor x = at::empty({samples, channels_, positions_}, at::kFloat);
    auto* to = x.mutable_data_ptr<float>();
    for (std::int64_t n = 0; n < samples; ++n) {
      for (std::int64_t c = 0; c < channels_; ++c) {
        for (std::int64_t p = 0; p < positions_; ++p) {
          const std::int64_t i = std::min(n * positions_ + p, count - 1);
          *to++ = points[static_cast<std::size_t>(c * count + i)];
        }
      }
    }
    std::vector<std::int64_t> shape = slot_.info.shape;
    shape.insert(shape.begin(), samples);
    return x.reshape(shape);
  }

  /// The codes of the points, [C][count].
  std::vector<std::uint8_t> codes_of(const std::vector<float>& points, std::int64_t count) const {
    const EncodedInput encoded = encode_(tensor_of(points, count));
    const std::vector<std::uint8_t> all = numbers<std::uint8_t>(encoded.codes.codes, at::kByte);
    std::vector<std::uint8_t> codes(points.size());
    for (std::int64_t c = 0; c < channels_; ++c) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t n = i / positions_, p = i % positions_;
        codes[static_cast<std::size_t>(c * count + i)] =
            all[static_cast<std::size_t>((n * channels_ + c) * positions_ + p)];
      }
    }
    return codes;
  }

  at::Tensor normal(float deviation, std::uint64_t key) const {
    std::vector<float> points(static_cast<std::size_t>(channels_ * 2 * positions_));
    Random random = Random::keyed(key, slot_.info.node, "input codes");
    random.fill_normal(points.data(), points.size());
    for (float& x : points) x *= deviation;
    return tensor_of(points, 2 * positions_);
  }

  /// What stands between codes and values must not move with the data.
  void probe() {
    std::uint64_t key = 0;
    for (const float deviation : {1.0F, 0.01F, 100.0F, 0.0F}) {
      const at::Tensor x = normal(deviation, key++);
      const EncodedInput encoded = encode_(x);
      const Encoded& codes = encoded.codes;
      packed::Codes seen{.encoding = codes.encoding,
                         .scale = numbers<float>(codes.scale, at::kFloat),
                         .zero_point = numbers<std::int32_t>(codes.zero_point, at::kInt),
                         .table = numbers<float>(codes.table, at::kFloat)};
      if (seen.encoding == Encoding::float16() || seen.encoding == Encoding::bfloat16()) {
        result_.rounding = seen.encoding.kind;
        return;
      }
      if (seen.encoding.is_float()) {
        refuse_function("keeps inputs as " + to_string(seen.encoding) + ", which are no codes");
      }
      if (seen.encoding.ensemble_size > 1) refuse_function("gives inputs of several networks");
      const bool position = seen.encoding.scale == ScaleKind::position;
      if (position) seen.encoding.scale = ScaleKind::none;
      if (encoded.output_scale.defined() != position) {
        refuse_function("gives an output scale that its encoding does not announce");
      }
      if (position) require_mean(x, encoded.output_scale);
      if (key > 1 && seen != result_.codes) refuse_scale();
      result_.codes = std::move(seen);
      result_.position = position;
    }
  }

  /// K of packed/program.h.
  void require_mean(const at::Tensor& x, const at::Tensor& output_scale) const {
    at::Tensor k = at::mean(at::abs(x.to(at::kCPU, at::kDouble)), {1}, true);
    if (x.dim() == 4) {
      const SlotInfo& info = slot_.info;
      k = at::avg_pool2d(k, {info.kernel.height, info.kernel.width},
                         {info.stride.height, info.stride.width},
                         {info.padding.height, info.padding.width}, false, true);
    }
    const at::Tensor given = output_scale.to(at::kCPU, at::kDouble);
    if (given.sizes() == k.sizes() && at::allclose(given, k, 1e-5, 0)) return;
    refuse_function(
        "multiplies the output by another factor per position than the mean |x| under "
        "the kernel");
  }

  /// Floats of all signs and sizes: many lie on the middle between two of 16 bits, or beside it.
  static float rounding_point(Random& random, float largest) {
    const auto upper = static_cast<std::uint32_t>(random.below(0x10000));
    const std::uint32_t beside[] = {0, 1, 0xFFFU, 0x1000U, 0x1001U, 0x7FFFU, 0x8000U, 0x8001U};
    const std::uint32_t lower = random.below(4) == 0
                                    ? static_cast<std::uint32_t>(random.below(0x10000))
                                    : beside[random.below(std::size(beside))];
    const auto x = std::bit_cast<float>(upper << 16 | lower);
    // A method may refuse what its format cannot hold.
    return std::abs(x) <= largest ? x : 0.0F;
  }

  void test_rounding() const {
    Random random = Random::keyed(2, slot_.info.node, "input codes");
    const std::int64_t count = std::max<std::int64_t>(1024, 0x20000 / channels_);
    std::vector<float> points(static_cast<std::size_t>(channels_ * count));
    const float largest = result_.rounding == CodeKind::float16 ? 65519 : 3.3e38F;
    for (float& x : points) x = rounding_point(random, largest);
    const std::vector<float> given =
        numbers<float>(encode_(tensor_of(points, count)).codes.codes, at::kFloat);
    for (std::int64_t c = 0; c < channels_; ++c) {
      for (std::int64_t i = 0; i < count; ++i) {
        const float x = points[static_cast<std::size_t>(c * count + i)];
        const float wanted = packed::rounded_to(result_.rounding, x);
        const std::int64_t n = i / positions_, p = i % positions_;
        const float got = given[static_cast<std::size_t>((n * channels_ + c) * positions_ + p)];
        if (got == wanted) continue;
        refuse_function("does not round inputs to the nearest " +
                        std::string(to_string(result_.rounding)) + ": of " + significant(x, 9) +
                        " in channel " + std::to_string(c) + " it makes " + significant(got, 9) +
                        ", not " + significant(wanted, 9));
      }
    }
  }

  void search() {
    steps_ = static_cast<std::size_t>(result_.codes.count()) - 1;
    const auto count = static_cast<std::int64_t>(steps_);
    std::vector<FloatSearch> searches(static_cast<std::size_t>(channels_) * steps_);
    std::vector<float> points(searches.size());
    while (!std::all_of(searches.begin(), searches.end(),
                        [](const FloatSearch& s) { return s.done(); })) {
      for (std::size_t i = 0; i < searches.size(); ++i) {
        points[i] = searches[i].done() ? 0.0F : float_of(searches[i].middle());
      }
      const std::vector<std::uint8_t> codes = codes_of(points, count);
      for (std::size_t i = 0; i < searches.size(); ++i) {
        if (searches[i].done()) continue;
        searches[i].take(searches[i].middle(), codes[i] > i % steps_);
      }
    }
    for (const FloatSearch& s : searches) result_.thresholds.push_back(s.result());
    for (std::size_t i = 0; i < searches.size(); ++i) {
      if (i % steps_ == 0 || result_.thresholds[i - 1] <= result_.thresholds[i]) continue;
      refuse_function("gives codes that do not rise with the input value");
    }
  }

  /// The points of one channel.
  std::vector<float> test_points(const float* thresholds, Random& random) const {
    constexpr float small = std::numeric_limits<float>::denorm_min();
    constexpr float large = std::numeric_limits<float>::max();
    std::vector<float> points = {0.0F, -0.0F, small, -small, 1e-40F, -1e-40F,
                                 1.0F, -1.0F, 1e6F,  -1e6F,  large,  -large};
    for (std::size_t j = 0; j < steps_; ++j) {
      if (!std::isfinite(thresholds[j])) continue;
      const std::int64_t order = order_of(thresholds[j]);
      for (const std::int64_t other : {order - 1, order, order + 1}) {
        if (std::abs(other) <= largest_order) points.push_back(float_of(other));
      }
    }
    const std::int64_t wanted = std::max<std::int64_t>(64, 6000 / channels_);
    for (std::int64_t i = 0; i < wanted; ++i) {
      float x = 0;
      random.fill_normal(&x, 1);
      // Every second one of any magnitude.
      const auto magnitude = static_cast<int>(random.below(24)) - 12;
      points.push_back(i % 2 == 0 ? x : std::ldexp(x, magnitude));
    }
    return points;
  }

  void test() const {
    Random random = Random::keyed(1, slot_.info.node, "input codes");
    std::vector<std::vector<float>> rows;
    std::size_t count = 0;
    for (std::int64_t c = 0; c < channels_; ++c) {
      rows.push_back(
          test_points(&result_.thresholds[static_cast<std::size_t>(c) * steps_], random));
      count = std::max(count, rows.back().size());
    }
    std::vector<float> points;
    for (std::vector<float>& row : rows) {
      row.resize(count, row.back());
      points.insert(points.end(), row.begin(), row.end());
    }
    const std::vector<std::uint8_t> codes = codes_of(points, static_cast<std::int64_t>(count));
    for (std::size_t i = 0; i < points.size(); ++i) {
      const float* row = &result_.thresholds[i / count * steps_];
      const auto wanted = std::upper_bound(row, row + steps_, points[i]) - row;
      if (codes[i] == wanted) continue;
      refuse_function(
          "is no rising step function of each input value, which a packed network "
          "needs: at " +
          significant(points[i], 9) + " in channel " + std::to_string(i / count) +
          " it gives the code " + std::to_string(codes[i]) + ", and its steps make it " +
          std::to_string(wanted));
    }
  }

  const PlannedSlot& slot_;
  const std::function<EncodedInput(const at::Tensor&)>& encode_;
  std::int64_t channels_, positions_ = 1;
  std::size_t steps_ = 1;
  InputCodes result_;
};

}  // namespace

InputCodes find_input_codes(const PlannedSlot& slot,
                            const std::function<EncodedInput(const at::Tensor&)>& encode) {
  return Search(slot, encode).result();
}

}  // namespace qhost
