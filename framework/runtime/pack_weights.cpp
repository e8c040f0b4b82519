#include "runtime/pack_weights.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

namespace qhost::runtime {
namespace {

int blocks(int channels) {
  return padded(channels) / channel_block;
}

/// Which kernel positions lie outside of the image, for each output position of one dimension:
/// positions with the same ones share a case; case 0 has none.
struct Cases {
  std::vector<int> of;                           ///< by output position
  std::vector<std::pair<int, int>> inside = {};  ///< by case: [first, last) of the kernel
};
Cases cases(int out, int in, int kernel, int stride, int pad) {
  Cases result;
  result.inside.push_back({0, kernel});
  std::map<std::pair<int, int>, int> known = {{{0, kernel}, 0}};
  for (int i = 0; i < out; ++i) {
    const int start = i * stride - pad;
    const std::pair<int, int> range = {std::clamp(-start, 0, kernel),
                                       std::clamp(in - start, 0, kernel)};
    const auto [found, is_new] = known.try_emplace(range, static_cast<int>(result.inside.size()));
    if (is_new) result.inside.push_back(range);
    result.of.push_back(found->second);
  }
  return result;
}

/// The weights at the beginning of a cache line, so that no vector of them lies in two.
template <class Weight>
const Weight* aligned(std::vector<Weight>& weights) {
  constexpr std::size_t line = 64;
  const std::size_t count = weights.size();
  weights.resize(count + line / sizeof(Weight));
  const auto address = reinterpret_cast<std::uintptr_t>(weights.data());
  Weight* begin = weights.data() + (line - address % line) % line / sizeof(Weight);
  std::memmove(begin, weights.data(), count * sizeof(Weight));
  return begin;
}

}  // namespace

PackedBinary pack_binary(const ConvShape& shape, const std::vector<std::uint8_t>& codes,
                         int padding) {
  PackedBinary packed;
  BinaryConv& conv = packed.conv;
  conv.shape = shape;
  const int in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  const int kh = shape.kernel_height, kw = shape.kernel_width;
  const int pixel = bits_pixel_bytes(in);
  const int run_bytes = kw * pixel;
  conv.words = (run_bytes + 3) / 4;
  conv.terms = in * kh * kw;
  if (run_bytes % 4 != 0) conv.last_mask = (1U << (8 * (run_bytes % 4))) - 1;
  packed.weights.assign(
      static_cast<std::size_t>(shape.groups * blocks(out) * kh * conv.words) * channel_block, 0);
  // The levels of a filter's position added over the channels, for the border.
  std::vector<std::int32_t> position_sums(static_cast<std::size_t>(shape.out_channels * kh * kw));
  const std::ptrdiff_t positions = kh * kw;
  for (int channel = 0; channel < shape.out_channels; ++channel) {
    const int group = channel / out, c = channel % out;
    const int block = group * blocks(out) + c / channel_block, lane = c % channel_block;
    const std::uint8_t* filter = codes.data() + channel * in * positions;
    for (int u = 0; u < kh; ++u) {
      std::uint32_t* run =
          packed.weights.data() + (block * kh + u) * conv.words * channel_block + lane;
      for (int v = 0; v < kw; ++v) {
        const std::uint8_t* code = filter + u * kw + v;
        int ones = 0;
        for (int k = 0; k < in; k += 8) {
          std::uint32_t byte = 0;
          for (int i = 0; i < std::min(8, in - k); ++i, code += positions) {
            byte |= static_cast<std::uint32_t>(*code) << i;
          }
          ones += std::popcount(byte);
          const int at = v * pixel + k / 8;
          run[at / 4 * channel_block] |= byte << (8 * (at % 4));
        }
        position_sums[static_cast<std::size_t>((channel * kh + u) * kw + v)] = 2 * ones - in;
      }
    }
  }
  Cases rows = cases(shape.out_height, shape.in_height, kh, shape.stride_height, shape.pad_height);
  Cases columns = cases(shape.out_width, shape.in_width, kw, shape.stride_width, shape.pad_width);
  if (padding == -1) {  // a border of 0 bits is what it stands for
    for (Cases* each : {&rows, &columns}) {
      std::fill(each->of.begin(), each->of.end(), 0);
      each->inside.resize(1);
    }
  }
  packed.row_case = rows.of;
  packed.column_case = columns.of;
  conv.column_cases = static_cast<int>(columns.inside.size());
  const int channels = padded(shape.out_channels);
  packed.border_sums.assign(
      rows.inside.size() * columns.inside.size() * static_cast<std::size_t>(channels), 0);
  for (std::size_t r = 0; r < rows.inside.size(); ++r) {
    for (std::size_t c = 0; c < columns.inside.size(); ++c) {
      for (int channel = 0; channel < shape.out_channels; ++channel) {
        std::int32_t sum = 0;
        for (int u = 0; u < kh; ++u) {
          for (int v = 0; v < kw; ++v) {
            const bool is_inside = u >= rows.inside[r].first && u < rows.inside[r].second &&
                                   v >= columns.inside[c].first && v < columns.inside[c].second;
            if (is_inside) continue;
            // A border of 0 bits counts as levels of -1.
            sum += position_sums[static_cast<std::size_t>((channel * kh + u) * kw + v)] *
                   (padding + 1);
          }
        }
        packed.border_sums[(r * columns.inside.size() + c) * static_cast<std::size_t>(channels) +
                           static_cast<std::size_t>(channel)] = sum;
      }
    }
  }
  conv.weights = aligned(packed.weights);
  conv.border_sums = packed.border_sums.data();
  conv.row_case = packed.row_case.data();
  conv.column_case = packed.column_case.data();
  return packed;
}

PackedInteger pack_integer(const ConvShape& shape, const std::vector<std::int8_t>& weights,
                           std::int32_t factor, std::int32_t shift) {
  PackedInteger packed;
  IntegerConv& conv = packed.conv;
  conv.shape = shape;
  conv.factor = factor;
  const int in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  const int kh = shape.kernel_height, kw = shape.kernel_width;
  const int pixel = (in + 3) / 4 * 4;
  conv.run = kw * pixel / 4;
  packed.weights.assign(
      static_cast<std::size_t>(shape.groups * blocks(out) * kh * conv.run) * channel_block * 4, 0);
  packed.offset.assign(static_cast<std::size_t>(padded(shape.out_channels)), 0);
  for (int channel = 0; channel < shape.out_channels; ++channel) {
    const int group = channel / out, c = channel % out;
    const int block = group * blocks(out) + c / channel_block, lane = c % channel_block;
    std::int32_t sum = 0;
    for (int u = 0; u < kh; ++u) {
      for (int v = 0; v < kw; ++v) {
        for (int k = 0; k < in; ++k) {
          const std::int8_t weight =
              weights[static_cast<std::size_t>(((channel * in + k) * kh + u) * kw + v)];
          const int byte = v * pixel + k;
          const int word = (block * kh + u) * conv.run + byte / 4;
          packed.weights[static_cast<std::size_t>((word * channel_block + lane) * 4 + byte % 4)] =
              weight;
          sum += weight;
        }
      }
    }
    packed.offset[static_cast<std::size_t>(channel)] = -shift * sum;
  }
  conv.weights = aligned(packed.weights);
  conv.offset = packed.offset.data();
  return packed;
}

PackedFloat pack_float(const ConvShape& shape, const std::vector<float>& weights) {
  PackedFloat packed;
  packed.conv.shape = shape;
  const int in = shape.in_channels / shape.groups, out = shape.out_channels / shape.groups;
  const int kh = shape.kernel_height, kw = shape.kernel_width;
  packed.weights.assign(
      static_cast<std::size_t>(shape.groups * blocks(out) * kh * kw * in) * channel_block, 0.0F);
  for (int channel = 0; channel < shape.out_channels; ++channel) {
    const int group = channel / out, c = channel % out;
    const int block = group * blocks(out) + c / channel_block, lane = c % channel_block;
    for (int u = 0; u < kh; ++u) {
      for (int v = 0; v < kw; ++v) {
        for (int k = 0; k < in; ++k) {
          const int row = ((block * kh + u) * kw + v) * in + k;
          packed.weights[static_cast<std::size_t>(row * channel_block + lane)] =
              weights[static_cast<std::size_t>(((channel * in + k) * kh + u) * kw + v)];
        }
      }
    }
  }
  packed.conv.weights = aligned(packed.weights);
  return packed;
}

}  // namespace qhost::runtime
