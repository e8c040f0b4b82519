// The kernels of every level that this CPU runs against plain loops over the formulas in
// runtime/kernels.h, in memory that ends at a page without access.
#include "runtime/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "kernel_cases.h"
#include "runtime/isa.h"
#include "runtime/pack_weights.h"

namespace qhost::runtime {
namespace {

/// Codes of an image with a border.
struct Image {
  int height, width, pixel_bytes, border_height, border_width;
  std::size_t row() const { return at((width + 2 * border_width) * pixel_bytes); }
  std::size_t bytes() const { return row() * at(height + 2 * border_height); }
  std::size_t pixel(int y, int x) const {
    return at(y + border_height) * row() + at((x + border_width) * pixel_bytes);
  }
};

std::string text(const ConvShape& s) {
  std::ostringstream out;
  out << s.in_height << "x" << s.in_width << "x" << s.in_channels << " -> " << s.out_height << "x"
      << s.out_width << "x" << s.out_channels << ", kernel " << s.kernel_height << "x"
      << s.kernel_width << ", stride " << s.stride_height << "x" << s.stride_width << ", padding "
      << s.pad_height << "x" << s.pad_width << ", groups " << s.groups;
  return out.str();
}

/// `unit`: the input channels of a group are a multiple of it if there are several groups.
ConvShape draw_shape(Draw& draw, int unit) {
  ConvShape s;
  s.kernel_height = draw.between(1, 5);
  s.kernel_width = draw.chance(60) ? s.kernel_height : draw.between(1, 5);
  s.stride_height = draw.between(1, 3);
  s.stride_width = draw.chance(70) ? s.stride_height : draw.between(1, 3);
  s.pad_height = draw.between(0, 2);
  s.pad_width = draw.chance(70) ? s.pad_height : draw.between(0, 2);
  s.in_channels = draw_channels(draw);
  s.out_channels = draw_channels(draw);
  if (draw.chance(25)) {
    s.groups = draw.between(2, 5);
    s.in_channels = s.groups * unit * (unit == 1 && draw.chance(50) ? 1 : draw.between(1, 5));
    s.out_channels = s.groups * (draw.chance(30) ? 32 : draw.chance(20) ? 1 : draw.between(1, 40));
  }
  if (unit == 1 && draw.chance(10)) {  // depthwise
    s.in_channels = s.out_channels = s.groups = draw_channels(draw);
  }
  const int low_height = std::max(1, s.kernel_height - 2 * s.pad_height);
  const int low_width = std::max(1, s.kernel_width - 2 * s.pad_width);
  s.in_height = low_height + draw.between(0, 10);
  s.in_width = low_width + draw.between(0, draw.chance(30) ? 30 : 12);
  const double products = static_cast<double>(s.out_channels) * s.in_channels / s.groups *
                          s.kernel_height * s.kernel_width * s.in_height * s.in_width /
                          (s.stride_height * s.stride_width);
  if (products > 600000) s.in_height = low_height;
  if (draw.chance(5)) {  // a linear layer
    s.in_height = s.in_width = s.kernel_height = s.kernel_width = 1;
    s.pad_height = s.pad_width = 0;
  }
  s.out_height = (s.in_height + 2 * s.pad_height - s.kernel_height) / s.stride_height + 1;
  s.out_width = (s.in_width + 2 * s.pad_width - s.kernel_width) / s.stride_width + 1;
  return s;
}

template <class Body>
void for_each_output(const ConvShape& s, const Body& body) {
  for (int y = 0; y < s.out_height; ++y) {
    for (int x = 0; x < s.out_width; ++x) {
      for (int c = 0; c < s.out_channels; ++c) body(y, x, c);
    }
  }
}

/// Calls body(weight's index, row, column, channel) for every product of output (y, x, c); the row
/// and the column may lie outside of the image.
template <class Body>
void for_each_product(const ConvShape& s, int y, int x, int c, const Body& body) {
  const int in = s.in_channels / s.groups, out = s.out_channels / s.groups;
  for (int k = 0; k < in; ++k) {
    for (int u = 0; u < s.kernel_height; ++u) {
      for (int v = 0; v < s.kernel_width; ++v) {
        body(at(((c * in + k) * s.kernel_height + u) * s.kernel_width + v),
             y * s.stride_height + u - s.pad_height, x * s.stride_width + v - s.pad_width,
             c / out * in + k);
      }
    }
  }
}

bool is_inside(const ConvShape& s, int row, int column) {
  return row >= 0 && row < s.in_height && column >= 0 && column < s.in_width;
}

/// An epilogue and the memory that it refers to.
class Tail {
 public:
  enum class Parts { any, floats_only, sums_without_rounding };

  Tail(Draw& draw, const ConvShape& shape, Parts parts, int largest_sum)
      : shape_(shape),
        image_{shape.out_height, shape.out_width, bits_pixel_bytes(shape.out_channels),
               draw.between(0, 2), draw.between(0, 2)},
        sum_thresholds_(draw, channels()),
        sum_direction_(draw, channels()),
        position_(draw, pixels()),
        scale_(draw, channels()),
        bias_(draw, channels()),
        residual_(draw, values()),
        thresholds_(draw, channels()),
        direction_(draw, channels()),
        out_(draw, values()),
        bits_(draw, image_.bytes()) {
    Epilogue& e = epilogue;
    const bool with_bits = parts != Parts::floats_only && draw.chance(60);
    e.bits.pixel_bytes = image_.pixel_bytes;
    e.bits.row_bytes = static_cast<std::ptrdiff_t>(image_.row());
    if (with_bits) e.bits.data = bits_.data() + image_.pixel(0, 0);
    // Behind the last channel lies anything.
    for (std::size_t c = 0; c < channels(); ++c) {
      const int reach = std::max(1, largest_sum / 4);
      sum_thresholds_[c] = draw.between(-reach, reach);
      if (draw.chance(5)) {
        sum_thresholds_[c] = draw.chance(50) ? std::numeric_limits<std::int32_t>::min()
                                             : std::numeric_limits<std::int32_t>::max();
      }
      sum_direction_[c] = draw.of({-1, 1});
      scale_[c] = draw.real();
      bias_[c] = static_cast<float>(draw.between(-reach, reach));
      thresholds_[c] = static_cast<float>(draw.between(-reach, reach));
      if (draw.chance(5)) {
        thresholds_[c] = draw.of({-1, 1}) * std::numeric_limits<float>::infinity();
      }
      direction_[c] = static_cast<float>(draw.of({-1, 1}));
      if (parts == Parts::sums_without_rounding) scale_[c] = static_cast<float>(draw.between(1, 3));
    }
    for (std::size_t i = 0; i < pixels(); ++i) position_[i] = draw.real();
    for (std::size_t i = 0; i < values(); ++i) {
      residual_[i] = static_cast<float>(draw.between(-50, 50));
      if (parts != Parts::any) continue;
      if (draw.chance(2)) residual_[i] = std::numeric_limits<float>::quiet_NaN();
      if (draw.chance(2)) residual_[i] = -std::numeric_limits<float>::infinity();
      if (draw.chance(2)) residual_[i] = -0.0F;
    }
    if (with_bits && parts == Parts::any && draw.chance(50)) {
      e.sum_thresholds = sum_thresholds_.data();
      if (draw.chance(50)) e.sum_direction = sum_direction_.data();
      return;
    }
    if (parts == Parts::any && draw.chance(20)) e.position = position_.data();
    if (draw.chance(60)) e.scale = scale_.data();
    if (draw.chance(60)) e.bias = bias_.data();
    if (draw.chance(40)) e.residual = residual_.data();
    if (with_bits) {
      e.thresholds = thresholds_.data();
      if (draw.chance(50)) e.direction = direction_.data();
    }
    if (!with_bits || draw.chance(50)) {
      e.out = out_.data();
      e.relu = draw.chance(50);
    }
    in_place_ = e.out != nullptr && e.residual != nullptr && draw.chance(30);
    if (in_place_) e.residual = e.out;
  }

  /// What becomes of rows [first, last) of the sums, computed as runtime/kernels.h says.
  template <class Number>
  void expect(const std::vector<Number>& sums, int first, int last) {
    expected_out_.assign(values(), 0);
    std::memset(expected_out_.data(), 0xA5, values() * sizeof(float));
    if (in_place_) std::copy_n(residual_.data(), values(), expected_out_.data());
    expected_bits_.assign(image_.bytes(), 0xA5);
    for (int y = first; y < last; ++y) {
      for (int x = 0; x < shape_.out_width; ++x) {
        std::uint8_t* pixel = expected_bits_.data() + image_.pixel(y, x);
        if (epilogue.bits.data != nullptr) std::memset(pixel, 0, at(image_.pixel_bytes));
        for (int c = 0; c < shape_.out_channels; ++c) {
          const std::size_t i = at((y * shape_.out_width + x) * shape_.out_channels + c);
          if (one(sums[i], at(y * shape_.out_width + x), at(c), i)) {
            pixel[c / 8] = static_cast<std::uint8_t>(pixel[c / 8] | 1 << c % 8);
          }
        }
      }
    }
  }

  void reset() {
    out_.reset();
    bits_.reset();
    if (in_place_) std::copy_n(residual_.data(), values(), out_.data());
  }

  /// "" if memory is as expected.
  std::string difference(double tolerance_per_value, const std::vector<double>& sizes) {
    std::ostringstream said;
    for (std::size_t i = 0; i < values(); ++i) {
      const float got = out_[i], wanted = expected_out_[i];
      const bool same = std::memcmp(&got, &wanted, sizeof got) == 0 ||
                        (std::isnan(got) && std::isnan(wanted)) ||
                        (!sizes.empty() && std::abs(static_cast<double>(got) - wanted) <=
                                               tolerance_per_value * (sizes[i] + 1));
      if (same) continue;
      said << "output " << i << " is " << got << ", not " << wanted;
      return said.str();
    }
    for (std::size_t i = 0; i < image_.bytes(); ++i) {
      if (bits_[i] == expected_bits_[i]) continue;
      said << "byte " << i << " of the bits is " << int{bits_[i]} << ", not "
           << int{expected_bits_[i]};
      return said.str();
    }
    if (!out_.fence_is_whole()) return "something was written beside the output";
    if (!bits_.fence_is_whole()) return "something was written beside the bits";
    return "";
  }

  std::size_t values() const { return pixels() * at(shape_.out_channels); }
  float scale_of(int c) { return epilogue.scale != nullptr ? epilogue.scale[c] : 1.0F; }

  Epilogue epilogue;

 private:
  std::size_t channels() const { return at(padded(shape_.out_channels)); }
  std::size_t pixels() const { return at(shape_.out_height * shape_.out_width); }

  template <class Number>
  bool one(Number sum, std::size_t pixel, std::size_t c, std::size_t i) {
    const Epilogue& e = epilogue;
    if constexpr (std::is_integral_v<Number>) {
      if (e.sum_thresholds != nullptr) {
        return (e.sum_direction != nullptr ? e.sum_direction[c] : 1) * sum >= e.sum_thresholds[c];
      }
    }
    float y = static_cast<float>(sum);
    if (e.position != nullptr) y = y * e.position[pixel];
    if (e.scale != nullptr && e.bias != nullptr) {
      y = std::fma(y, e.scale[c], e.bias[c]);
    } else if (e.scale != nullptr) {
      y = y * e.scale[c];
    } else if (e.bias != nullptr) {
      y = y + e.bias[c];
    }
    if (e.residual != nullptr) y = y + residual_[i];
    const bool bit = e.thresholds != nullptr &&
                     (e.direction != nullptr ? e.direction[c] : 1.0F) * y >= e.thresholds[c];
    if (e.relu) y = y > 0 || std::isnan(y) ? y : 0.0F;
    if (e.out != nullptr) expected_out_[i] = y;
    return bit;
  }

  ConvShape shape_;
  Image image_;
  bool in_place_ = false;
  Fenced<std::int32_t> sum_thresholds_, sum_direction_;
  Fenced<float> position_, scale_, bias_, residual_, thresholds_, direction_, out_;
  Fenced<std::uint8_t> bits_;
  std::vector<float> expected_out_;
  std::vector<std::uint8_t> expected_bits_;
};

/// Runs `body(kernels)` for each level and compares what it made.
template <class Body>
void check_all(Draw& draw, Tail& tail, int first, int last, double tolerance,
               const std::vector<double>& sizes, const Body& body) {
  for (const Kernels* kernels : usable_kernels()) {
    tail.reset();
    // As threads do, in parts.
    const int middle = draw.between(first, last);
    body(*kernels, middle, last);
    body(*kernels, first, middle);
    ASSERT_EQ(tail.difference(tolerance, sizes), "") << kernels->name;
  }
}

void draw_rows(Draw& draw, const ConvShape& shape, int& first, int& last) {
  first = draw.chance(70) ? 0 : draw.between(0, shape.out_height);
  last = draw.chance(70) ? shape.out_height : draw.between(first, shape.out_height);
}

void check_binary(std::uint32_t seed) {
  Draw draw(seed);
  const ConvShape shape = draw_shape(draw, 8);
  const int padding = draw.between(-1, 1);
  SCOPED_TRACE("seed " + std::to_string(seed) + ": " + text(shape) + ", padding level " +
               std::to_string(padding));
  const int in = shape.in_channels / shape.groups;
  std::vector<std::uint8_t> codes(
      at(shape.out_channels * in * shape.kernel_height * shape.kernel_width));
  for (std::uint8_t& code : codes) code = draw.chance(50) ? 1 : 0;

  const Image image{shape.in_height, shape.in_width, bits_pixel_bytes(shape.in_channels),
                    shape.pad_height + draw.between(0, 1), shape.pad_width + draw.between(0, 1)};
  Fenced<std::uint8_t> memory(draw, image.bytes() + 8);
  std::memset(memory.data(), 0, image.bytes());
  for (std::size_t i = 0; i < 8; ++i) {
    memory[image.bytes() + i] = static_cast<std::uint8_t>(draw.between(0, 255));
  }
  std::vector<int> levels;
  for (int y = 0; y < shape.in_height; ++y) {
    for (int x = 0; x < shape.in_width; ++x) {
      for (int c = 0; c < shape.in_channels; ++c) {
        levels.push_back(draw.of({-1, 1}));
        std::uint8_t& byte = memory[image.pixel(y, x) + at(c / 8)];
        if (levels.back() == 1) byte = static_cast<std::uint8_t>(byte | 1 << c % 8);
      }
    }
  }
  std::vector<std::int32_t> sums;
  for_each_output(shape, [&](int y, int x, int c) {
    std::int32_t sum = 0;
    for_each_product(shape, y, x, c, [&](std::size_t weight, int row, int column, int k) {
      const int level = is_inside(shape, row, column)
                            ? levels[at((row * shape.in_width + column) * shape.in_channels + k)]
                            : padding;
      sum += level * (codes[weight] != 0 ? 1 : -1);
    });
    sums.push_back(sum);
  });
  const PackedBinary packed = pack_binary(shape, codes, padding);
  Tail tail(draw, shape, Tail::Parts::any, in * shape.kernel_height * shape.kernel_width);
  int first, last;
  draw_rows(draw, shape, first, last);
  tail.expect(sums, first, last);
  const Bits x{memory.data() + image.pixel(0, 0), image.pixel_bytes,
               static_cast<std::ptrdiff_t>(image.row())};
  check_all(draw, tail, first, last, 0, {}, [&](const Kernels& kernels, int from, int to) {
    kernels.binary(packed.conv, x, from, to, tail.epilogue);
  });
}

void check_integer(std::uint32_t seed) {
  Draw draw(seed);
  const ConvShape shape = draw_shape(draw, 4);
  SCOPED_TRACE("seed " + std::to_string(seed) + ": " + text(shape));
  const int in = shape.in_channels / shape.groups;
  std::vector<std::int8_t> weights(
      at(shape.out_channels * in * shape.kernel_height * shape.kernel_width));
  const bool extreme = draw.chance(30);
  for (std::int8_t& weight : weights) {
    weight = static_cast<std::int8_t>(extreme ? draw.of({-128, 127}) : draw.between(-128, 127));
  }
  const auto factor = draw.of({1, 1, 2}), shift = draw.between(-3, 300);

  const Image image{shape.in_height, shape.in_width, (shape.in_channels + 3) / 4 * 4,
                    shape.pad_height + draw.between(0, 1), shape.pad_width + draw.between(0, 1)};
  Fenced<std::uint8_t> memory(draw, image.bytes() + 8);
  std::memset(memory.data(), 0, image.bytes());
  const int padding = draw.between(0, 255);
  std::vector<int> codes;
  for (int y = -image.border_height; y < shape.in_height + image.border_height; ++y) {
    for (int x = -image.border_width; x < shape.in_width + image.border_width; ++x) {
      for (int c = 0; c < shape.in_channels; ++c) {
        const int code = !is_inside(shape, y, x) ? padding
                         : extreme               ? draw.of({0, 255, 255})
                                                 : draw.between(0, 255);
        if (is_inside(shape, y, x)) codes.push_back(code);
        memory[image.pixel(y, x) + at(c)] = static_cast<std::uint8_t>(code);
      }
    }
  }
  std::vector<std::int32_t> sums;
  for_each_output(shape, [&](int y, int x, int c) {
    std::int32_t sum = 0;
    for_each_product(shape, y, x, c, [&](std::size_t weight, int row, int column, int k) {
      const int code = is_inside(shape, row, column)
                           ? codes[at((row * shape.in_width + column) * shape.in_channels + k)]
                           : padding;
      sum += weights[weight] * (factor * code - shift);
    });
    sums.push_back(sum);
  });
  const PackedInteger packed = pack_integer(shape, weights, factor, shift);
  Tail tail(draw, shape, Tail::Parts::any,
            in * shape.kernel_height * shape.kernel_width * 20 * factor);
  int first, last;
  draw_rows(draw, shape, first, last);
  tail.expect(sums, first, last);
  const Bytes x{memory.data() + image.pixel(0, 0), image.pixel_bytes,
                static_cast<std::ptrdiff_t>(image.row())};
  check_all(draw, tail, first, last, 0, {}, [&](const Kernels& kernels, int from, int to) {
    kernels.integer(packed.conv, x, from, to, tail.epilogue);
  });
}

/// With `exact`, small integers: their sums are the same in any order, and so are the bits.
void check_floating(std::uint32_t seed, bool exact) {
  Draw draw(seed);
  const ConvShape shape = draw_shape(draw, 1);
  SCOPED_TRACE("seed " + std::to_string(seed) + ": " + text(shape));
  const int in = shape.in_channels / shape.groups;
  std::vector<float> weights(
      at(shape.out_channels * in * shape.kernel_height * shape.kernel_width));
  const auto value = [&] { return exact ? static_cast<float>(draw.between(-4, 4)) : draw.real(); };
  for (float& weight : weights) weight = value();
  Fenced<float> x(draw, at(shape.in_height * shape.in_width * shape.in_channels));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = value();

  std::vector<double> sums, sizes;
  for_each_output(shape, [&](int y, int column, int c) {
    double sum = 0, size = 0;
    for_each_product(shape, y, column, c, [&](std::size_t weight, int row, int col, int k) {
      if (!is_inside(shape, row, col)) return;
      const double product = static_cast<double>(weights[weight]) *
                             x[at((row * shape.in_width + col) * shape.in_channels + k)];
      sum += product;
      size += std::abs(product);
    });
    sums.push_back(sum);
    sizes.push_back(size);
  });
  const PackedFloat packed = pack_float(shape, weights);
  Tail tail(draw, shape, exact ? Tail::Parts::sums_without_rounding : Tail::Parts::floats_only,
            in * shape.kernel_height * shape.kernel_width);
  int first, last;
  draw_rows(draw, shape, first, last);
  tail.expect(std::vector<float>(sums.begin(), sums.end()), first, last);
  std::vector<double> none;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    sizes[i] *= std::abs(tail.scale_of(static_cast<int>(i) % shape.out_channels));
    sizes[i] += 100;  // of bias and residual
  }
  check_all(draw, tail, first, last, 3e-6, exact ? none : sizes,
            [&](const Kernels& kernels, int from, int to) {
              kernels.floating(packed.conv, x.data(), from, to, tail.epilogue);
            });
}

TEST(Kernels, NamesOfTheLevels) {
  const auto name = [](const Kernels* kernels) {
    return std::string(kernels != nullptr ? kernels->name : "none");
  };
  EXPECT_EQ(name(&portable_kernels()), "portable");
#if defined(__x86_64__)
  EXPECT_EQ(name(avx2_kernels()), "avx2");
  EXPECT_EQ(name(avx512_kernels()), "avx512");
#else
  EXPECT_EQ(name(avx2_kernels()), "none");
  EXPECT_EQ(name(avx512_kernels()), "none");
#endif
}

/// The linker keeps one of several definitions of a weak symbol. If it kept one from here, a CPU
/// without these instructions would execute them in code that has nothing to do with convolutions.
TEST(Kernels, ObjectsOfALevelDefineNoWeakSymbols) {
  const std::string folder =
      QHOST_BINARY_DIR "/framework/runtime/CMakeFiles/qhost_runtime_kernels.dir/kernels/";
  for (const std::string level : {"avx2", "avx512"}) {
    FILE* nm = popen(("nm --defined-only '" + folder + level + ".cpp.o'").c_str(), "r");
    ASSERT_NE(nm, nullptr);
    std::vector<std::string> names, weak;
    char line[4096];
    while (std::fgets(line, sizeof line, nm) != nullptr) {
      char kind = 0, name[4096] = "";
      if (std::sscanf(line, "%*s %c %4095s", &kind, name) != 2) continue;
      names.push_back(name);
      // DW.ref.*: an address for exceptions, without instructions.
      if (std::strncmp(name, "DW.ref.", 7) == 0) continue;
      if (std::strchr("WwVvu", kind) != nullptr) weak.push_back(name);
    }
    ASSERT_EQ(pclose(nm), 0);
    EXPECT_FALSE(names.empty()) << level;
    EXPECT_TRUE(weak.empty()) << level << " defines " << weak.front();
  }
}

TEST(Kernels, BinaryConvolution) {
  check_many(300, check_binary);
}

TEST(Kernels, IntegerConvolution) {
  check_many(200, check_integer);
}

TEST(Kernels, FloatConvolutionOfIntegersIsExact) {
  check_many(200, [](std::uint32_t seed) { check_floating(seed, true); });
}

TEST(Kernels, FloatConvolution) {
  check_many(200, [](std::uint32_t seed) { check_floating(seed, false); });
}

}  // namespace
}  // namespace qhost::runtime
