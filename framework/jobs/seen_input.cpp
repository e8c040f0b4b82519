#include "jobs/seen_input.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace qhost::jobs {
namespace {

using runtime::CodePlace;
using Places = runtime::Plan::StepPlaces;

constexpr double threshold_bound = 1.0 / (1 << 18);

at::MemoryFormat layout_of(const at::Tensor& x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

std::uint8_t* pixel(const CodePlace& place, std::byte* arena, int y, int x) {
  runtime::Work work;
  work.arena = arena;
  return place.pixel(work, y, x);
}

float* floats_of(const Places& places, std::byte* arena) {
  runtime::Work work;
  work.arena = arena;
  return places.floats->data(work);
}

bool are_equal(float a, float b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

int code_at(const CodePlace& place, const std::uint8_t* pixel, int channel) {
  return place.bits ? pixel[channel / 8] >> (channel % 8) & 1 : pixel[channel];
}

bool has_bits(const std::uint8_t* bits, const std::uint8_t* codes, std::size_t channels) {
  std::size_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, codes + c, sizeof eight);
    // Eight bytes of 0 or 1 become eight bits of the highest byte.
    if (static_cast<std::uint8_t>(eight * 0x0102040810204080U >> 56) != bits[c / 8]) return false;
  }
  for (; c < channels; ++c) {
    if ((bits[c / 8] >> (c % 8) & 1) != codes[c]) return false;
  }
  return true;
}

void put_codes(const CodePlace& place, std::byte* arena, const std::uint8_t* codes) {
  for (int y = 0; y < place.height; ++y) {
    for (int x = 0; x < place.width; ++x, codes += place.channels) {
      std::uint8_t* to = pixel(place, arena, y, x);
      if (!place.bits) {
        std::memcpy(to, codes, static_cast<std::size_t>(place.channels));
        continue;
      }
      std::memset(to, 0, static_cast<std::size_t>(place.pixel_bytes));
      for (int c = 0; c < place.channels; ++c) {
        to[c / 8] = static_cast<std::uint8_t>(to[c / 8] | codes[c] << (c % 8));
      }
    }
  }
}

/// Whether `value` is near each threshold between the two codes.
bool is_near(const InputCodes& input, std::int64_t channel, double value, int got, int wanted,
             double largest) {
  const int n = input.codes.count() - 1;
  const bool rows = static_cast<int>(input.thresholds.size()) > n;
  bool near = true;
  for (int j = std::min(got, wanted); j < std::max(got, wanted); ++j) {
    const double t = input.thresholds[static_cast<std::size_t>((rows ? channel * n : 0) + j)];
    // An infinite threshold is near no value.
    near = near && std::isfinite(t) &&
           std::abs(value - t) <= threshold_bound * std::max(std::abs(t), largest);
  }
  return near;
}

}  // namespace

SeenInput::SeenInput(std::string node, std::size_t edge, const at::Tensor& x,
                     const EncodedInput& encoded)
    : node_(std::move(node)),
      edge_(edge),
      values_(x),
      codes_(encoded.codes.codes
                 .to(at::kCPU, encoded.codes.encoding.is_float() ? at::kFloat : at::kByte)
                 .contiguous(layout_of(x))) {}

bool SeenInput::is_rounded() const {
  return codes_.scalar_type() == at::kFloat;
}

bool SeenInput::is_held(const Places& places, std::byte* arena, std::int64_t image) const {
  if (is_rounded()) {
    const float* values = codes_.const_data_ptr<float>() + image * elements();
    return std::equal(values, values + elements(), floats_of(places, arena), are_equal);
  }
  const CodePlace& place = places.bytes != nullptr ? *places.bytes : *places.bits;
  const auto channels = static_cast<std::size_t>(place.channels);
  const auto* codes = codes_.const_data_ptr<std::uint8_t>() + image * elements();
  for (int y = 0; y < place.height; ++y) {
    for (int x = 0; x < place.width; ++x, codes += channels) {
      const std::uint8_t* got = pixel(place, arena, y, x);
      if (place.bits ? !has_bits(got, codes, channels) : std::memcmp(got, codes, channels) != 0) {
        return false;
      }
    }
  }
  return true;
}

Differences SeenInput::explain(const Places& places, std::byte* arena, std::int64_t image,
                               const InputCodes& input) const {
  const at::Tensor values =
      values_.narrow(0, image, 1).to(at::kCPU, at::kFloat).contiguous(layout_of(values_));
  const float* x = values.const_data_ptr<float>();
  double largest = 0;
  for (std::int64_t i = 0; i < elements(); ++i) {
    if (std::isfinite(x[i])) largest = std::max(largest, std::abs(double{x[i]}));
  }
  Differences result;
  const auto count = [&](bool near) { ++(near ? result.explained : result.unexplained); };
  if (is_rounded()) {
    const float* wanted = codes_.const_data_ptr<float>() + image * elements();
    const float* got = floats_of(places, arena);
    // Infinity stands one step beyond the largest finite number.
    const double end = input.rounding == CodeKind::float16 ? 0x1p16 : 0x1p128;
    const auto place_of = [&](float v) {
      return std::isinf(v) ? std::copysign(end, v) : double{v};
    };
    for (std::int64_t i = 0; i < elements(); ++i) {
      if (are_equal(got[i], wanted[i])) continue;
      const double middle = (place_of(got[i]) + place_of(wanted[i])) / 2;
      count(std::abs(x[i] - middle) <= threshold_bound * std::max(std::abs(middle), largest));
    }
    return result;
  }
  const CodePlace& place = places.bytes != nullptr ? *places.bytes : *places.bits;
  const auto* wanted = codes_.const_data_ptr<std::uint8_t>() + image * elements();
  for (int row = 0; row < place.height; ++row) {
    for (int column = 0; column < place.width; ++column) {
      const std::uint8_t* of = pixel(place, arena, row, column);
      for (int c = 0; c < place.channels; ++c, ++x, ++wanted) {
        const int got = code_at(place, of, c);
        if (got != *wanted) count(is_near(input, c, *x, got, *wanted, largest));
      }
    }
  }
  return result;
}

void SeenInput::put(const Places& places, std::byte* arena, std::int64_t image) const {
  if (is_rounded()) {
    std::copy_n(codes_.const_data_ptr<float>() + image * elements(), elements(),
                floats_of(places, arena));
    return;
  }
  const auto* codes = codes_.const_data_ptr<std::uint8_t>() + image * elements();
  if (places.bytes != nullptr) put_codes(*places.bytes, arena, codes);
  if (places.bits != nullptr) put_codes(*places.bits, arena, codes);
}

}  // namespace qhost::jobs
