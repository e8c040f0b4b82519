#include "runtime/encoder.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qhost::runtime {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
/// Comparing with so many thresholds one by one is faster than anything else.
constexpr int few_thresholds = 15;
/// In codes. More doubt would send many values to the tables.
constexpr float most_doubt = 0.125F;

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

const float* row_of(const Encoder& encoder, int channel) {
  const int n = encoder.count - 1;
  return encoder.thresholds.data() + (encoder.per_channel ? at(channel) * at(n) : 0);
}

/// code ~ fma(x, slope, offset), rounded to the nearest, and by how much it may miss a half.
struct Guess {
  float slope = 0, offset = 0, doubt = 0;
};

float end_of(float largest_sum) {
  return largest_sum > 0 ? largest_sum : std::numeric_limits<float>::max();
}

/// The line through the outermost thresholds that some x can reach.
Guess line_through(const float* t, int n, float largest) {
  const float end = end_of(largest);
  const float half = largest > 0 ? 0.5F : 0.0F;  // between two sums
  int first = 0, last = n - 1;
  while (first < n && t[first] <= -end) ++first;
  while (last > first && t[last] > end) --last;
  if ((first >= n || t[first] > end) && largest == 0) return {infinity, 0, 0};  // infinite inputs
  if (first >= n || t[first] > end) return {0, static_cast<float>(first), 0};
  if (t[first] == t[last]) return {1, static_cast<float>(first) + 0.5F - (t[first] - half), 0};
  const double slope = static_cast<double>(last - first) /
                       (static_cast<double>(t[last]) - static_cast<double>(t[first]));
  const double offset = first + 0.5 - slope * (static_cast<double>(t[first]) - half);
  return {static_cast<float>(slope), static_cast<float>(offset), 0};
}

/// How far the guess is from the right side of a half at any threshold: fma() is monotonic, so that
/// what holds at a threshold and just below it holds everywhere.
float doubt_of(const Guess& guess, const float* t, int n, float largest) {
  const float end = end_of(largest);
  float doubt = 0;
  for (int j = 0; j < n; ++j) {
    const float half = static_cast<float>(j) + 0.5F;
    const auto guessed = [&](float x) {
      return std::clamp(std::fma(x, guess.slope, guess.offset), 0.0F, static_cast<float>(n));
    };
    if (t[j] <= end) doubt = std::max(doubt, half - guessed(std::max(t[j], -end)));
    const float below = largest > 0 ? t[j] - 1 : std::nextafter(t[j], -infinity);
    if (below >= -end) doubt = std::max(doubt, guessed(std::min(below, end)) - half);
  }
  return doubt;
}

}  // namespace

EncodeTables::EncodeTables(const Encoder& encoder, int channels) : codes_(encoder.count) {
  if (!encoder.direction.empty()) {
    direction_.assign(at(padded(channels)), 1.0F);
    std::copy(encoder.direction.begin(), encoder.direction.end(), direction_.begin());
  }
  if (encoder.count - 1 <= few_thresholds) {
    fill_columns(encoder, channels);
  } else {
    fill_rows(encoder, channels);
    find_guess(encoder, channels);
  }
}

EncodeTables::EncodeTables(const Encoder& encoder, int channels, float scale,
                           std::int32_t zero_point) {
  if (find_rounding(encoder, scale, zero_point)) {
    codes_ = encoder.count;
  } else {
    *this = EncodeTables(encoder, channels);
  }
}

bool EncodeTables::find_rounding(const Encoder& encoder, float scale, std::int32_t zero_point) {
  if (encoder.per_channel || zero_point % 2 != 0 || !(scale > 0)) return false;
  const auto zero = static_cast<float>(zero_point / 2);
  if (std::abs(zero) > 1024) return false;
  for (const bool divides : {true, false}) {
    const float step = divides ? scale : 1 / scale;
    const auto code = [&](float x) {
      const float q = std::nearbyint(divides ? x / step : x * step) + zero;
      return std::clamp(q, 0.0F, static_cast<float>(encoder.count - 1));
    };
    bool same = std::isfinite(step);
    for (std::size_t j = 0; same && j < encoder.thresholds.size(); ++j) {
      const float t = encoder.thresholds[j];
      const float below = std::nextafter(t, -infinity);
      same = std::isfinite(t) && code(t) >= static_cast<float>(j + 1) &&
             code(below) <= static_cast<float>(j);
    }
    if (!same) continue;
    step_ = step;
    zero_ = zero;
    divides_ = divides;
    return true;
  }
  return false;
}

void EncodeTables::fill_columns(const Encoder& encoder, int channels) {
  const int n = encoder.count - 1;
  columns_.assign(at(n) * at(padded(channels)), infinity);
  for (int c = 0; c < channels; ++c) {
    for (int j = 0; j < n; ++j)
      columns_[at(j) * at(padded(channels)) + at(c)] = row_of(encoder, c)[j];
  }
}

void EncodeTables::fill_rows(const Encoder& encoder, int channels) {
  const int n = encoder.count - 1;
  row_steps_ = std::bit_width(static_cast<unsigned>(n));
  const int size = (1 << row_steps_) + 1;
  row_start_.assign(at(padded(channels)), 0);
  for (int c = 0; c < (encoder.per_channel ? channels : 1); ++c) {
    row_start_[at(c)] = c * size;
    rows_.push_back(-infinity);
    rows_.insert(rows_.end(), row_of(encoder, c), row_of(encoder, c) + n);
    rows_.resize(at((c + 1) * size), std::numeric_limits<float>::quiet_NaN());  // never reached
  }
}

void EncodeTables::find_guess(const Encoder& encoder, int channels) {
  const int n = encoder.count - 1;
  slope_.assign(at(padded(channels)), 0);
  offset_.assign(at(padded(channels)), 0);
  for (int c = 0; c < channels; ++c) {
    if (c > 0 && !encoder.per_channel) {
      slope_[at(c)] = slope_[0];
      offset_[at(c)] = offset_[0];
      continue;
    }
    const float* t = row_of(encoder, c);
    Guess guess = line_through(t, n, encoder.largest_sum);
    const float doubt = doubt_of(guess, t, n, encoder.largest_sum);
    if (!(doubt <= most_doubt) || !std::isfinite(guess.slope) || !std::isfinite(guess.offset)) {
      slope_.clear();
      return;
    }
    slope_[at(c)] = guess.slope;
    offset_[at(c)] = guess.offset;
    doubt_ = std::max(doubt_, doubt);
  }
  doubt_ = doubt_ * 1.01F + 1e-6F;
}

ByteEncoder EncodeTables::kernel() const {
  ByteEncoder encoder{.codes = codes_};
  encoder.direction = direction_.empty() ? nullptr : direction_.data();
  encoder.step = step_;
  encoder.zero = zero_;
  encoder.divides = divides_;
  encoder.columns = columns_.empty() ? nullptr : columns_.data();
  encoder.rows = rows_.data();
  encoder.row_start = row_start_.data();
  encoder.row_steps = row_steps_;
  encoder.slope = slope_.empty() ? nullptr : slope_.data();
  encoder.offset = offset_.data();
  encoder.doubt = doubt_;
  return encoder;
}

}  // namespace qhost::runtime
