// The levels of codes: qhost/encoding.h has the formulas.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "packed/halves.h"
#include "packed/program.h"

namespace qhost::packed {
namespace {

/// 2 if some zero point is odd: half a level.
int unit_of(CodeKind kind, const std::vector<std::int32_t>& zero_point) {
  if (kind == CodeKind::codebook) return 0;
  for (const std::int32_t half_steps : zero_point) {
    if (half_steps % 2 != 0) return 2;
  }
  return 1;
}

float level(CodeKind kind, int code, std::int32_t half_steps, const float* table) {
  switch (kind) {
    case CodeKind::binary:
      return code == 0 ? -1.0F : 1.0F;
    case CodeKind::ternary:
      return static_cast<float>(code - 1);
    case CodeKind::uniform:
      return static_cast<float>(code) - static_cast<float>(half_steps) / 2;
    default:
      return table[code];
  }
}

std::vector<float> float_levels(const StoredTensor& weight) {
  std::vector<float> values(static_cast<std::size_t>(weight.elements()));
  if (weight.encoding.kind == CodeKind::float32) return float_values(weight);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, weight.codes.data() + 2 * i, sizeof bits);
    values[i] = weight.encoding.kind == CodeKind::float16
                    ? from_half(bits)
                    : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  return values;
}

}  // namespace

int Codes::unit() const {
  return unit_of(encoding.kind, zero_point);
}

int unit(const StoredTensor& weight) {
  return weight.encoding.is_float() ? 0 : unit_of(weight.encoding.kind, weight.zero_point);
}

std::vector<float> levels(const StoredTensor& weight) {
  if (weight.encoding.is_float()) return float_levels(weight);
  const std::vector<std::uint8_t> codes = codes_of(weight);
  std::vector<float> values(codes.size());
  const std::size_t per_channel = codes.size() / static_cast<std::size_t>(weight.channels());
  const auto entries = static_cast<std::size_t>(weight.encoding.code_count());
  std::array<float, 256> of_code{};
  for (std::size_t first = 0, channel = 0; first < codes.size(); first += per_channel, ++channel) {
    const bool differs = weight.zero_point.size() > 1 || weight.encoding.codebook_per_channel;
    for (std::size_t code = 0; code < entries && (channel == 0 || differs); ++code) {
      const std::int32_t half_steps =
          weight.zero_point.empty() ? 0
                                    : weight.zero_point[weight.zero_point.size() > 1 ? channel : 0];
      const float* table = weight.table.empty()
                               ? nullptr
                               : weight.table.data() +
                                     (weight.encoding.codebook_per_channel ? channel * entries : 0);
      of_code[code] = level(weight.encoding.kind, static_cast<int>(code), half_steps, table);
    }
    for (std::size_t i = first; i < first + per_channel; ++i) values[i] = of_code[codes[i]];
  }
  return values;
}

float largest_level(const StoredTensor& weight) {
  const CodeKind kind = weight.encoding.kind;
  if (kind == CodeKind::binary || kind == CodeKind::ternary) return 1;
  float largest = 0;
  for (const float level : levels(weight)) largest = std::max(largest, std::abs(level));
  return largest;
}

std::vector<float> levels(const Codes& codes, std::int64_t channel) {
  const auto c = static_cast<std::size_t>(channel);
  const auto entries = static_cast<std::size_t>(codes.encoding.code_count());
  std::vector<float> values(static_cast<std::size_t>(codes.count()));
  for (std::size_t code = 0; code < values.size(); ++code) {
    const std::int32_t half_steps =
        codes.zero_point.empty() ? 0 : codes.zero_point[codes.zero_point.size() > 1 ? c : 0];
    const float* table =
        codes.table.empty()
            ? nullptr
            : codes.table.data() + (codes.encoding.codebook_per_channel ? c * entries : 0);
    values[code] = level(codes.encoding.kind, static_cast<int>(code), half_steps, table);
  }
  return values;
}

}  // namespace qhost::packed
