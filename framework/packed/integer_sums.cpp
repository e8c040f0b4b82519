#include "packed/integer_sums.h"

#include <algorithm>
#include <cmath>

namespace qhost::packed {
namespace {

/// Input channels of a group: kernels take them in bytes, or in words of 4.
bool fills(const Step& step, std::int64_t channels) {
  return step.groups == 1 || step.weight->shape[1] % channels == 0;
}

}  // namespace

std::optional<int> padding_code(const Step& step, const Codes& input) {
  if (step.padding == Size2(0)) return 0;
  const std::vector<float> all = levels(input);
  const auto found = std::find(all.begin(), all.end(), step.padding_level);
  if (found == all.end()) return {};
  return static_cast<int>(found - all.begin());
}

bool has_binary_sums(const Step& step, const Codes& input) {
  const float pad = step.padding_level;
  return input.encoding.kind == CodeKind::binary &&
         step.weight->encoding.kind == CodeKind::binary && fills(step, 8) &&
         (pad == 0 || pad == 1 || pad == -1);
}

bool has_byte_sums(const Step& step, const Codes& input) {
  const int weight_unit = unit(*step.weight);
  if (weight_unit == 0 || input.unit() == 0 || input.zero_point.size() > 1) return false;
  if (!fills(step, 4) || !padding_code(step, input)) return false;
  for (const float level : levels(*step.weight)) {
    const float value = level * static_cast<float>(weight_unit);
    if (value < -128 || value > 127) return false;
  }
  const double terms =
      static_cast<double>(step.weight->elements()) / static_cast<double>(step.channels());
  const double zero = input.zero_point.empty() ? 0 : std::abs(input.zero_point[0]);
  return terms * 128 * (255.0 * input.unit() + zero) < static_cast<double>(1 << 30);
}

}  // namespace qhost::packed
