// The kernels in plain C++: what the others are tested against.
#include <cstring>

#include "runtime/kernels.h"

namespace qhost::runtime {
namespace {

constexpr int lanes = channel_block;

/// Vectors of the compiler, which each processor has in some form: no instruction is named.
using Words [[gnu::vector_size(16)]] = std::uint32_t;
using Ints [[gnu::vector_size(16)]] = std::int32_t;
using Shorts [[gnu::vector_size(16)]] = std::int16_t;
using Floats [[gnu::vector_size(16)]] = float;
constexpr int vector_lanes = 4;

template <class Value>
Value at(const void* memory) {
  Value value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

/// The sums of N vectors of channels.
template <class Vector, int N>
struct Sums {
  Vector v[N] = {};

  template <class Number>
  void store(Number* to) const {
    std::memcpy(to, v, sizeof v);
  }
};

/// The bits of each lane.
Words popcount(Words x) {
  x = x - ((x >> 1) & 0x55555555U);
  x = (x & 0x33333333U) + ((x >> 2) & 0x33333333U);
  x = (x + (x >> 4)) & 0x0F0F0F0FU;
  x = x + (x >> 8);
  return (x + (x >> 16)) & 0x3FU;
}

template <int N>
void add_bits(Sums<Words, N>& different, const std::uint32_t* weights, std::uint32_t word,
              std::uint32_t mask) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    different.v[i] += popcount((at<Words>(weights + i * vector_lanes) ^ word) & mask);
  }
}

/// Four products of bytes for each channel. They fit into 16 bits.
template <int N>
void add_products(Sums<Ints, N>& sums, const std::int8_t* weights, const std::uint8_t* codes) {
  const auto word = at<std::uint32_t>(codes);
  const auto even = reinterpret_cast<Shorts>(Words{} + (word & 0x00FF00FFU));
  const auto odd = reinterpret_cast<Shorts>(Words{} + (word >> 8 & 0x00FF00FFU));
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    const auto w = at<Shorts>(weights + 4 * i * vector_lanes);
    const auto first = reinterpret_cast<Ints>(((w << 8) >> 8) * even);
    const auto second = reinterpret_cast<Ints>((w >> 8) * odd);
    sums.v[i] += ((first << 16) >> 16) + (first >> 16);
    sums.v[i] += ((second << 16) >> 16) + (second >> 16);
  }
}

template <int N>
void add_scaled(Sums<Floats, N>& sums, const float* weights, float x) {
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sums.v[i] += x * at<Floats>(weights + i * vector_lanes);
}

/// Up to 32 channels of one pixel, from channel `first` on.
struct Pixel {
  const ConvShape& shape;
  const Epilogue& epilogue;
  int y, x, first, count;

  std::ptrdiff_t index() const { return static_cast<std::ptrdiff_t>(y) * shape.out_width + x; }

  void set_bit(int channel, bool bit) const {
    std::uint8_t* pixel = epilogue.bits.data + y * epilogue.bits.row_bytes +
                          static_cast<std::ptrdiff_t>(x) * epilogue.bits.pixel_bytes;
    const auto mask = static_cast<std::uint8_t>(1U << (channel % 8));
    if (channel == 0) std::memset(pixel, 0, static_cast<std::size_t>(epilogue.bits.pixel_bytes));
    if (bit) pixel[channel / 8] = static_cast<std::uint8_t>(pixel[channel / 8] | mask);
  }

  void finish_sums(const std::int32_t* sums) const {
    if (epilogue.sum_thresholds == nullptr) {
      float floats[lanes];
      for (int i = 0; i < count; ++i) floats[i] = static_cast<float>(sums[i]);
      return finish(floats);
    }
    for (int i = 0; i < count; ++i) {
      const int c = first + i;
      const std::int32_t sum =
          epilogue.sum_direction != nullptr ? epilogue.sum_direction[c] * sums[i] : sums[i];
      set_bit(c, sum >= epilogue.sum_thresholds[c]);
    }
  }

  void finish(const float* sums) const {
    const std::ptrdiff_t pixel = index();
    for (int i = 0; i < count; ++i) {
      const int c = first + i;
      const std::ptrdiff_t at = pixel * shape.out_channels + c;
      float value = sums[i];
      if (epilogue.position != nullptr) value = value * epilogue.position[pixel];
      if (epilogue.scale != nullptr && epilogue.bias != nullptr) {
        value = __builtin_fmaf(value, epilogue.scale[c], epilogue.bias[c]);
      } else if (epilogue.scale != nullptr) {
        value = value * epilogue.scale[c];
      } else if (epilogue.bias != nullptr) {
        value = value + epilogue.bias[c];
      }
      if (epilogue.residual != nullptr) value = value + epilogue.residual[at];
      if (epilogue.thresholds != nullptr) {
        const float seen = epilogue.direction != nullptr ? epilogue.direction[c] * value : value;
        set_bit(c, seen >= epilogue.thresholds[c]);
      }
      if (epilogue.out == nullptr) continue;
      if (epilogue.relu) value = value > 0 ? value : (value != value ? value : 0.0F);
      epilogue.out[at] = value;
    }
  }
};

/// Calls `body.template operator()<N>(group, block, y, x, first, count)` for each block of channels
/// of each pixel; N vectors have those channels.
template <class Body>
void for_each_block(const ConvShape& shape, int first_row, int last_row, const Body& body) {
  const int out = shape.out_channels / shape.groups;
  const int blocks = padded(out) / lanes;
  for (int block = 0; block < shape.groups * blocks; ++block) {
    const int group = block / blocks, begin = block % blocks * lanes;
    const int first = group * out + begin, count = out - begin < lanes ? out - begin : lanes;
    for (int y = first_row; y < last_row; ++y) {
      for (int x = 0; x < shape.out_width; ++x) {
        if (count <= vector_lanes) {
          body.template operator()<1>(group, block, y, x, first, count);
        } else {
          body.template operator()<lanes / vector_lanes>(group, block, y, x, first, count);
        }
      }
    }
  }
}

void binary(const BinaryConv& conv, const Bits& input, int first_row, int last_row,
            const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  const int in = shape.in_channels / shape.groups;
  const int group_bytes = shape.groups == 1 ? 0 : in / 8;
  const int group_pixel = bits_pixel_bytes(in);
  const auto body = [&]<int N>(int group, int block, int y, int x, int first, int count) {
    Sums<Words, N> different;
    const std::uint32_t* weights = conv.weights + static_cast<std::ptrdiff_t>(block) *
                                                      shape.kernel_height * conv.words * lanes;
    for (int u = 0; u < shape.kernel_height; ++u) {
      const std::uint8_t* run =
          input.data + (y * shape.stride_height + u - shape.pad_height) * input.row_bytes +
          static_cast<std::ptrdiff_t>(x * shape.stride_width - shape.pad_width) * input.pixel_bytes;
      for (int w = 0; w < conv.words; ++w, weights += lanes) {
        std::uint32_t word;
        if (shape.groups == 1) {
          word = at<std::uint32_t>(run + 4 * w);
        } else {
          // The run of one group, byte by byte where groups share a pixel.
          std::uint8_t gathered[4];
          for (int b = 0; b < 4; ++b) {
            const int place = 4 * w + b, tap = place / group_pixel, byte = place % group_pixel;
            const bool there = tap < shape.kernel_width && byte < in / 8;
            gathered[b] = there ? run[static_cast<std::ptrdiff_t>(tap) * input.pixel_bytes +
                                      group * group_bytes + byte]
                                : std::uint8_t{0};
          }
          word = at<std::uint32_t>(gathered);
        }
        add_bits<N>(different, weights, word, w + 1 == conv.words ? conv.last_mask : ~0U);
      }
    }
    const int border_case = conv.row_case[y] * conv.column_cases + conv.column_case[x];
    const std::int32_t* border =
        conv.border_sums + static_cast<std::ptrdiff_t>(border_case) * padded(shape.out_channels) +
        first;
    std::int32_t sums[lanes] = {};
    different.store(sums);
    for (int i = 0; i < count; ++i) sums[i] = conv.terms - 2 * sums[i] + border[i];
    Pixel{shape, epilogue, y, x, first, count}.finish_sums(sums);
  };
  for_each_block(shape, first_row, last_row, body);
}

void integer(const IntegerConv& conv, const Bytes& input, int first_row, int last_row,
             const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  const int in = shape.in_channels / shape.groups;
  const int group_pixel = (in + 3) / 4 * 4;
  const auto body = [&]<int N>(int group, int block, int y, int x, int first, int count) {
    Sums<Ints, N> products;
    const std::int8_t* weights = conv.weights + static_cast<std::ptrdiff_t>(block) *
                                                    shape.kernel_height * conv.run * lanes * 4;
    for (int u = 0; u < shape.kernel_height; ++u) {
      for (int v = 0; v < shape.kernel_width; ++v) {
        const std::uint8_t* pixel =
            input.data + (y * shape.stride_height + u - shape.pad_height) * input.row_bytes +
            static_cast<std::ptrdiff_t>(x * shape.stride_width + v - shape.pad_width) *
                input.pixel_bytes +
            (shape.groups == 1 ? 0 : group * in);
        for (int k = 0; k < group_pixel; k += 4, weights += 4 * lanes) {
          add_products<N>(products, weights, pixel + k);
        }
      }
    }
    std::int32_t sums[lanes] = {};
    products.store(sums);
    for (int i = 0; i < count; ++i) sums[i] = conv.factor * sums[i] + conv.offset[first + i];
    Pixel{shape, epilogue, y, x, first, count}.finish_sums(sums);
  };
  for_each_block(shape, first_row, last_row, body);
}

void floating(const FloatConv& conv, const float* input, int first_row, int last_row,
              const Epilogue& epilogue) {
  const ConvShape& shape = conv.shape;
  const int in = shape.in_channels / shape.groups;
  const auto body = [&]<int N>(int group, int block, int y, int x, int first, int count) {
    Sums<Floats, N> products;
    const float* weights = conv.weights + static_cast<std::ptrdiff_t>(block) * shape.kernel_height *
                                              shape.kernel_width * in * lanes;
    for (int u = 0; u < shape.kernel_height; ++u) {
      const int row = y * shape.stride_height + u - shape.pad_height;
      for (int v = 0; v < shape.kernel_width; ++v, weights += in * lanes) {
        const int column = x * shape.stride_width + v - shape.pad_width;
        if (row < 0 || row >= shape.in_height || column < 0 || column >= shape.in_width) continue;
        const float* pixel =
            input +
            (static_cast<std::ptrdiff_t>(row) * shape.in_width + column) * shape.in_channels +
            group * in;
        for (int k = 0; k < in; ++k) add_scaled<N>(products, weights + k * lanes, pixel[k]);
      }
    }
    float sums[lanes] = {};
    products.store(sums);
    Pixel{shape, epilogue, y, x, first, count}.finish(sums);
  };
  for_each_block(shape, first_row, last_row, body);
}

void encode_bits(const float* x, int pixels, int channels, const float* thresholds,
                 const float* direction, std::uint8_t* bits, int pixel_bytes) {
  for (int p = 0; p < pixels; ++p, x += channels, bits += pixel_bytes) {
    std::memset(bits, 0, static_cast<std::size_t>(pixel_bytes));
    for (int c = 0; c < channels; ++c) {
      const float seen = direction != nullptr ? direction[c] * x[c] : x[c];
      const unsigned bit = seen >= thresholds[c] ? 1U : 0U;
      bits[c / 8] = static_cast<std::uint8_t>(bits[c / 8] | bit << (c % 8));
    }
  }
}

int rounded(const ByteEncoder& e, float x) {
  // Adding and taking away 1.5 * 2^23 rounds half to even; the operand is small by then.
  constexpr float rounder = 12582912.0F;
  const float lowest = -e.zero - 1, highest = static_cast<float>(e.codes) - e.zero;
  const float largest = static_cast<float>(e.codes - 1);
  float q = e.divides ? x / e.step : x * e.step;
  q = q > lowest ? q : lowest;
  q = q < highest ? q : highest;
  q = (q + rounder) - rounder + e.zero;
  q = q > 0 ? q : 0;
  return static_cast<int>(q < largest ? q : largest);
}

int compared(const ByteEncoder& e, float x, int channel, int channels) {
  int code = 0;
  for (int j = 0; j + 1 < e.codes; ++j) {
    code += x >= e.columns[static_cast<std::ptrdiff_t>(j) * padded(channels) + channel] ? 1 : 0;
  }
  return code;
}

int searched(const ByteEncoder& e, float x, int channel) {
  const float* row = e.rows + e.row_start[channel];
  int code = 0;
  for (int step = 1 << e.row_steps >> 1; step > 0; step /= 2) {
    code += x >= row[code + step] ? step : 0;
  }
  return code;
}

void encode_bytes(const ByteEncoder& e, const float* x, int pixels, int channels,
                  std::uint8_t* bytes, int pixel_bytes) {
  for (int p = 0; p < pixels; ++p, x += channels, bytes += pixel_bytes) {
    for (int c = 0; c < channels; ++c) {
      const float seen = e.direction != nullptr ? e.direction[c] * x[c] : x[c];
      const int code = e.step != 0            ? rounded(e, x[c])
                       : e.columns != nullptr ? compared(e, seen, c, channels)
                                              : searched(e, seen, c);
      bytes[c] = static_cast<std::uint8_t>(code);
    }
    std::memset(bytes + channels, 0, static_cast<std::size_t>(pixel_bytes - channels));
  }
}

}  // namespace

const Kernels& portable_kernels() {
  static constexpr Kernels kernels = {"portable", binary,      integer,
                                      floating,   encode_bits, encode_bytes};
  return kernels;
}

}  // namespace qhost::runtime
