// Codes of floats: the kernels of every level that this CPU runs against plain comparisons, and the
// forms in which thresholds are found.
#include "runtime/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "runtime/isa.h"

namespace qhost::runtime {
namespace {

void check_encode(std::uint32_t seed) {
  Draw draw(seed);
  const int pixels = draw.between(1, 9), channels = draw_channels(draw);
  const int pixel_bytes = bits_pixel_bytes(channels);
  SCOPED_TRACE("seed " + std::to_string(seed) + ": " + std::to_string(pixels) + " pixels of " +
               std::to_string(channels) + " channels");
  Fenced<float> x(draw, at(pixels * channels)), thresholds(draw, at(padded(channels))),
      direction(draw, at(padded(channels)));
  Fenced<std::uint8_t> bits(draw, at(pixels * pixel_bytes));
  for (std::size_t c = 0; c < thresholds.size(); ++c) {
    thresholds[c] = static_cast<float>(draw.between(-2, 2));
    if (draw.chance(10)) thresholds[c] = -std::numeric_limits<float>::infinity();
    direction[c] = static_cast<float>(draw.of({-1, 1}));
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(draw.between(-3, 3));
    if (draw.chance(3)) x[i] = std::numeric_limits<float>::quiet_NaN();
    if (draw.chance(3)) x[i] = -0.0F;
  }
  const bool directed = draw.chance(50);
  std::vector<std::uint8_t> expected(bits.size());
  for (int p = 0; p < pixels; ++p) {
    for (int c = 0; c < channels; ++c) {
      const float seen = (directed ? direction[at(c)] : 1.0F) * x[at(p * channels + c)];
      std::uint8_t& byte = expected[at(p * pixel_bytes + c / 8)];
      if (seen >= thresholds[at(c)]) byte = static_cast<std::uint8_t>(byte | 1 << c % 8);
    }
  }
  for (const Kernels* kernels : usable_kernels()) {
    bits.reset();
    kernels->encode_bits(x.data(), pixels, channels, thresholds.data(),
                         directed ? direction.data() : nullptr, bits.data(), pixel_bytes);
    EXPECT_EQ(std::vector<std::uint8_t>(bits.data(), bits.data() + bits.size()), expected)
        << kernels->name;
    EXPECT_TRUE(bits.fence_is_whole()) << kernels->name;
  }
}

float draw_value(Draw& draw, float largest_sum) {
  if (largest_sum > 0) {
    return static_cast<float>(
        draw.between(static_cast<int>(-largest_sum), static_cast<int>(largest_sum)));
  }
  if (draw.chance(3)) return std::numeric_limits<float>::quiet_NaN();
  if (draw.chance(3))
    return static_cast<float>(draw.of({-1, 1})) * std::numeric_limits<float>::infinity();
  if (draw.chance(3)) return -0.0F;
  return static_cast<float>(draw.between(-1500, 1500)) / 256;
}

/// Ascending: evenly spaced but for rounding, which a guess finds, or anyhow.
std::vector<float> draw_thresholds(Draw& draw, int n, float largest_sum, bool even) {
  std::vector<float> t;
  const float span = largest_sum > 0 ? largest_sum : 6;
  const float first = -span * static_cast<float>(draw.between(20, 120)) / 100;
  const float width = span * static_cast<float>(draw.between(20, 240)) / 100;
  for (int j = 0; j < n; ++j) {
    const float place = even ? static_cast<float>(j) : static_cast<float>(draw.between(0, n));
    const float exact = first + width * place / static_cast<float>(n);
    t.push_back(largest_sum > 0 ? std::ceil(exact) : exact);
  }
  std::sort(t.begin(), t.end());
  if (draw.chance(10)) t.back() = std::numeric_limits<float>::infinity();
  if (draw.chance(10)) t.front() = -std::numeric_limits<float>::infinity();
  return t;
}

void check_encode_bytes(std::uint32_t seed) {
  Draw draw(seed);
  const int pixels = draw.between(1, 5), channels = draw_channels(draw);
  const int pixel_bytes = (channels + 3) / 4 * 4;
  Encoder encoder{.count = draw.of({2, 3, 4, 5, 8, 16, 17, 31, 64, 100, 200, 256})};
  const int n = encoder.count - 1;
  if (draw.chance(40)) encoder.largest_sum = static_cast<float>(draw.of({20, 700, 100000}));
  encoder.per_channel = draw.chance(60);
  const bool even = draw.chance(70);
  for (int c = 0; c < (encoder.per_channel ? channels : 1); ++c) {
    const std::vector<float> t = draw_thresholds(draw, n, encoder.largest_sum, even);
    encoder.thresholds.insert(encoder.thresholds.end(), t.begin(), t.end());
    if (encoder.per_channel && draw.chance(50)) encoder.direction.resize(at(c), 1.0F);
  }
  if (!encoder.direction.empty()) {
    encoder.direction.resize(at(channels));
    for (float& each : encoder.direction) each = static_cast<float>(draw.of({-1, 1}));
  }
  SCOPED_TRACE("seed " + std::to_string(seed) + ": " + std::to_string(pixels) + " pixels of " +
               std::to_string(channels) + " channels, " + std::to_string(encoder.count) + " codes");
  Fenced<float> x(draw, at(pixels * channels));
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = draw_value(draw, encoder.largest_sum);
    // On a threshold, or just beside it.
    if (!draw.chance(40)) continue;
    const int channel = static_cast<int>(i) % channels;
    const float t =
        encoder.thresholds[at((encoder.per_channel ? channel * n : 0) + draw.between(0, n - 1))];
    if (encoder.largest_sum > 0 && !(std::abs(t) <= encoder.largest_sum - 1)) continue;
    const float d = encoder.direction.empty() ? 1.0F : encoder.direction[at(channel)];
    const float beside = encoder.largest_sum > 0 ? t - 1 : std::nextafter(t, -1e30F);
    x[i] = d * (draw.chance(50) ? t : beside);
  }
  std::vector<std::uint8_t> expected(at(pixels * pixel_bytes));
  for (int p = 0; p < pixels; ++p) {
    for (int c = 0; c < channels; ++c) {
      const float d = encoder.direction.empty() ? 1.0F : encoder.direction[at(c)];
      for (int j = 0; j < n; ++j) {
        const float t = encoder.thresholds[at((encoder.per_channel ? c * n : 0) + j)];
        expected[at(p * pixel_bytes + c)] += d * x[at(p * channels + c)] >= t ? 1 : 0;
      }
    }
  }
  const EncodeTables tables(encoder, channels);
  Fenced<std::uint8_t> bytes(draw, at(pixels * pixel_bytes));
  for (const Kernels* kernels : usable_kernels()) {
    bytes.reset();
    kernels->encode_bytes(tables.kernel(), x.data(), pixels, channels, bytes.data(), pixel_bytes);
    EXPECT_EQ(std::vector<std::uint8_t>(bytes.data(), bytes.data() + bytes.size()), expected)
        << kernels->name;
    EXPECT_TRUE(bytes.fence_is_whole()) << kernels->name;
  }
}

TEST(EncodeKernels, GiveBits) {
  check_many(200, check_encode);
}

TEST(EncodeKernels, GiveBytes) {
  check_many(400, check_encode_bytes);
}

Encoder evenly_spaced(int count, float first, float step) {
  Encoder encoder{.count = count};
  for (int j = 0; j + 1 < count; ++j) {
    encoder.thresholds.push_back(first + step * static_cast<float>(j));
  }
  return encoder;
}

TEST(EncodeTables, TakeTheFastestFormThatIsExact) {
  const ByteEncoder few = EncodeTables(evenly_spaced(16, -1, 0.1F), 8).kernel();
  EXPECT_NE(few.columns, nullptr);
  const EncodeTables guessed(evenly_spaced(256, -3, 0.02F), 8);
  EXPECT_NE(guessed.kernel().slope, nullptr);
  EXPECT_EQ(guessed.kernel().columns, nullptr);
  EXPECT_LT(guessed.kernel().doubt, 1e-3F);
  // Sums far apart: whole numbers leave the guess a wide room.
  Encoder sums = evenly_spaced(256, -51000, 400);
  sums.largest_sum = 80000;
  const EncodeTables of_sums(sums, 8);
  ASSERT_NE(of_sums.kernel().slope, nullptr);
  EXPECT_LT(of_sums.kernel().doubt, 1e-4F);
  // Sums that cannot be reached do not matter.
  for (std::size_t j = 200; j < 255; ++j) sums.thresholds[j] = 2147483648.0F;
  sums.largest_sum = 29000;
  EXPECT_NE(EncodeTables(sums, 8).kernel().slope, nullptr);
  sums.largest_sum = 40000;
  EXPECT_EQ(EncodeTables(sums, 8).kernel().slope, nullptr);
  Encoder uneven = evenly_spaced(256, -3, 0.02F);
  uneven.thresholds[100] = uneven.thresholds[101];
  EXPECT_EQ(EncodeTables(uneven, 8).kernel().slope, nullptr);
  EXPECT_NE(EncodeTables(uneven, 8).kernel().rows, nullptr);
}

/// The thresholds of round(x / 0.1) + 3, found by bisection.
TEST(EncodeTables, FindTheRoundingBehindThresholds) {
  Encoder encoder{.count = 256};
  for (int j = 0; j < 255; ++j) {
    float low = -100, high = 100;  // code(low) <= j < code(high)
    while (std::nextafter(low, high) < high) {
      const float middle = low + (high - low) / 2;
      (std::nearbyint(middle / 0.1F) + 3 > static_cast<float>(j) ? high : low) = middle;
    }
    encoder.thresholds.push_back(high);
  }
  const ByteEncoder found = EncodeTables(encoder, 4, 0.1F, 6).kernel();
  EXPECT_EQ(found.step, 0.1F);
  EXPECT_EQ(found.zero, 3);
  EXPECT_TRUE(found.divides);
  EXPECT_EQ(EncodeTables(encoder, 4, 0.1F, 7).kernel().step, 0);  // half steps have no rounding
  encoder.thresholds[17] = std::nextafter(encoder.thresholds[17], 100.0F);
  EXPECT_EQ(EncodeTables(encoder, 4, 0.1F, 6).kernel().step, 0);
}

}  // namespace
}  // namespace qhost::runtime
