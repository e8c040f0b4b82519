// tests/packed/random_program.h: sound programs with every step, whose numbers are such that every
// sum and product is exact in float32, in any order: engines must agree to the last bit.
#pragma once

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "graph/pack_codes.h"
#include "packed/program.h"

namespace qhost::tests {

class RandomProgram {
 public:
  using Step = packed::Step;
  using StepOp = packed::StepOp;

  explicit RandomProgram(std::uint32_t seed) : random_(seed) {}

  packed::Program make(int steps = 8) {
    program_ = {};
    Step input{.name = "input", .op = StepOp::input};
    input.shape.dims = {1 + below(4), 4 + below(6), 4 + below(6)};
    program_.steps.push_back(input);
    floats_ = {0};
    codes_.clear();
    for (int i = 0; i < steps; ++i) add_something();
    finish();
    return program_;
  }

  /// Quarters from -2 to 2.
  std::vector<float> image() {
    std::vector<float> values(static_cast<std::size_t>(program_.input().shape.elements()));
    for (float& value : values) value = quarter(8);
    return values;
  }

  std::int64_t below(std::int64_t limit) {
    return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(random_);
  }
  float quarter(int most) { return static_cast<float>(below(2 * most + 1) - most) / 4; }

 private:
  template <class List>
  auto one_of(const List& list) {
    return list[static_cast<std::size_t>(below(static_cast<std::int64_t>(list.size())))];
  }

  int add(Step step, Shape shape) {
    const auto index = static_cast<int>(program_.steps.size());
    step.name = std::string(to_string(step.op)) + std::to_string(index);
    step.shape = std::move(shape);
    (step.codes ? codes_ : floats_).push_back(index);
    program_.steps.push_back(std::move(step));
    return index;
  }

  /// A float value that is an image, preferably a late one: those stay small.
  int an_image() {
    std::vector<int> images;
    for (const int each : floats_) {
      if (program_.step(each).shape.is_image()) images.push_back(each);
    }
    return images[images.size() - 1 -
                  static_cast<std::size_t>(
                      below(std::min<std::int64_t>(static_cast<std::int64_t>(images.size()), 3)))];
  }

  void add_something() {
    switch (below(12)) {
      case 0:
        return add_pool(an_image());
      case 1:
        return add_activation(an_image());
      case 2:
        return below(3) == 0 ? add_round(an_image()) : add_affine(an_image());
      case 3:
        return add_join(an_image());
      case 4:
        return add_subsample(an_image());
      case 5:
        return add_conv(an_image(), -1);
      case 6:
        return add_decode();
      default: {
        const int x = an_image();
        return add_conv(add_encode(x), x);
      }
    }
  }

  void add_pool(int from) {
    const Shape& in = program_.step(from).shape;
    Step step{.op = below(2) == 0 ? StepOp::max_pool : StepOp::average_pool, .inputs = {from}};
    // Sums of an average are divided by 1, 2 or 4: exact.
    step.kernel = below(2) == 0 ? Size2(2, 2) : Size2(1, 2);
    if (step.op == StepOp::max_pool) step.padding = Size2(0, below(2));
    if (in.height() < 3 || in.width() < 3) return;
    add(std::move(step), Shape{{in.channels(), in.height() - step.kernel.height + 1,
                                in.width() + 2 * program_padding(step) - 2 + 1}});
  }
  static std::int64_t program_padding(const Step& step) { return step.padding.width; }

  void add_activation(int from) {
    Step step{.op = StepOp::activation, .inputs = {from}};
    step.activation = one_of(std::vector<Activation>{Activation::relu, Activation::relu6,
                                                     Activation::leaky_relu, Activation::hardtanh});
    if (step.activation == Activation::leaky_relu) step.slope = 0.25;
    add(std::move(step), program_.step(from).shape);
  }

  void add_round(int from) {
    Step step{.op = StepOp::round, .inputs = {from}};
    step.rounding = below(2) == 0 ? CodeKind::float16 : CodeKind::bfloat16;
    add(std::move(step), program_.step(from).shape);
  }

  std::vector<float> per_channel(std::int64_t channels, bool scale) {
    std::vector<float> list(below(4) == 0 ? 1 : static_cast<std::size_t>(channels));
    for (float& value : list) {
      value = scale ? one_of(std::vector<float>{0.25F, 0.5F, -0.5F, 0.125F}) : quarter(6);
    }
    return list;
  }

  void add_affine(int from) {
    Step step{.op = StepOp::affine, .inputs = {from}};
    const std::int64_t channels = program_.step(from).channels();
    step.scale = per_channel(channels, true);
    step.bias = per_channel(channels, false);
    add(std::move(step), program_.step(from).shape);
  }

  void add_join(int from) {
    std::vector<int> same;
    for (const int each : floats_) {
      if (program_.step(each).shape == program_.step(from).shape) same.push_back(each);
    }
    Step step{.op = below(2) == 0 ? StepOp::add : StepOp::concat, .inputs = {from, one_of(same)}};
    Shape shape = program_.step(from).shape;
    if (step.op == StepOp::concat) shape.dims[0] *= 2;
    if (shape.dims[0] > 80) return;
    add(std::move(step), shape);
  }

  void add_subsample(int from) {
    const Shape& in = program_.step(from).shape;
    Step step{.op = StepOp::subsample, .inputs = {from}, .stride = Size2(1 + below(2))};
    add(std::move(step),
        Shape{{in.channels() + below(4), (in.height() - 1) / step.stride.height + 1,
               (in.width() - 1) / step.stride.width + 1}});
  }

  packed::Codes some_codes(std::int64_t channels) {
    packed::Codes codes;
    switch (below(5)) {
      case 0:
      case 1:
        codes.encoding = Encoding::binary(ScaleKind::none);
        break;
      case 2:
        codes.encoding = Encoding::ternary(ScaleKind::none);
        break;
      case 3: {
        const bool each = below(4) == 0;
        codes.encoding = Encoding::uniform(1 + static_cast<int>(below(4)), ScaleKind::tensor,
                                           each ? ZeroPointKind::channel : ZeroPointKind::tensor);
        codes.scale = {0.5F};
        for (std::int64_t c = 0; c < (each ? channels : 1); ++c) {
          codes.zero_point.push_back(static_cast<std::int32_t>(below(9)));
        }
        break;
      }
      default:
        codes.table = {-1.5F, -0.25F, 0.5F, 2};
        if (below(2) == 0) codes.table.pop_back();
        codes.encoding =
            Encoding::codebook(static_cast<int>(codes.table.size()), ScaleKind::none, false);
    }
    return codes;
  }

  int add_encode(int from) {
    Step step{.op = StepOp::encode, .inputs = {from}};
    const std::int64_t channels = program_.step(from).channels();
    step.codes = some_codes(channels);
    const std::int64_t n = step.codes->count() - 1;
    const bool each = below(3) == 0;
    for (std::int64_t c = 0; c < (each ? channels : 1); ++c) {
      std::vector<float> row;
      for (std::int64_t j = 0; j < n; ++j) row.push_back(quarter(8));
      std::sort(row.begin(), row.end());
      if (below(6) == 0) row.back() = std::numeric_limits<float>::infinity();
      step.thresholds.insert(step.thresholds.end(), row.begin(), row.end());
      if (each) step.direction.push_back(below(3) == 0 ? -1 : 1);
    }
    if (each && below(2) == 0) step.direction.clear();
    return add(std::move(step), program_.step(from).shape);
  }

  StoredTensor weight(std::vector<std::int64_t> shape, bool small) {
    StoredTensor tensor{.shape = std::move(shape)};
    const std::int64_t count = tensor.elements();
    switch (small ? below(4) : 3) {
      case 0:
        tensor.encoding = Encoding::binary(ScaleKind::none);
        break;
      case 1:
        tensor.encoding = Encoding::ternary(ScaleKind::none);
        break;
      case 2:
        tensor.encoding = Encoding::uniform(1 + static_cast<int>(below(4)), ScaleKind::none,
                                            ZeroPointKind::channel);
        for (std::int64_t c = 0; c < tensor.channels(); ++c) {
          tensor.zero_point.push_back(static_cast<std::int32_t>(below(8)));
        }
        break;
      default: {
        std::vector<float> values;
        for (std::int64_t i = 0; i < count; ++i) values.push_back(quarter(4));
        return float_tensor(tensor.shape, values);
      }
    }
    const int bits = tensor.encoding.bits;
    const int codes = tensor.encoding.kind == CodeKind::ternary ? 3 : 1 << bits;
    std::vector<std::uint8_t> each;
    for (std::int64_t i = 0; i < count; ++i) {
      each.push_back(static_cast<std::uint8_t>(below(codes)));
    }
    tensor.codes.resize(static_cast<std::size_t>(packed_bytes(count, bits)));
    pack_codes(each, bits, tensor.codes);
    return tensor;
  }

  /// `floats`: the value that the codes stand for, -1 if `from` is a float itself.
  void add_conv(int from, int floats) {
    const Step& source = program_.step(from);
    const Shape in = source.shape;
    Step step{.op = StepOp::conv2d, .inputs = {from}};
    step.kernel = Size2(1 + below(std::min<std::int64_t>(3, in.height())),
                        1 + below(std::min<std::int64_t>(3, in.width())));
    step.padding = Size2(below(2), below(2));
    step.stride = Size2(1 + below(2), 1 + below(2));
    std::int64_t out = 1 + below(40);
    if (below(4) == 0 && in.channels() % 2 == 0) {
      step.groups = 2;
      out *= 2;
    }
    const bool coded = floats >= 0;
    if (coded && step.padding != Size2(0)) {
      const float levels[] = {0, 0, 1, -1};
      step.padding_level = levels[below(4)];
    }
    step.weight =
        weight({out, in.channels() / step.groups, step.kernel.height, step.kernel.width}, coded);
    const bool integer = coded && packed::unit(*step.weight) != 0 && source.codes->unit() != 0;
    if (integer && below(3) == 0) {
      add_sum_thresholds(step, out);
    } else {
      if (below(4) > 0) step.scale = per_channel(out, true);
      if (below(3) > 0) step.bias = per_channel(out, false);
      // Powers of two: the mean is exact.
      const std::int64_t area = step.kernel.height * step.kernel.width;
      const bool power = (in.channels() & (in.channels() - 1)) == 0 && (area & (area - 1)) == 0;
      if (coded && power && below(2) == 0) {
        step.position = true;
        step.inputs.push_back(floats);
      }
    }
    const auto positions = [](std::int64_t size, std::int64_t kernel, std::int64_t stride,
                              std::int64_t padding) {
      return (size + 2 * padding - kernel) / stride + 1;
    };
    const Shape shape{
        {out, positions(in.height(), step.kernel.height, step.stride.height, step.padding.height),
         positions(in.width(), step.kernel.width, step.stride.width, step.padding.width)}};
    add(std::move(step), shape);
  }

  void add_sum_thresholds(Step& step, std::int64_t out) {
    step.codes = below(3) == 0 ? packed::Codes{.encoding = Encoding::ternary(ScaleKind::none)}
                               : packed::Codes{.encoding = Encoding::binary(ScaleKind::none)};
    const bool directed = below(2) == 0;
    for (std::int64_t c = 0; c < out; ++c) {
      std::vector<std::int32_t> row;
      for (int j = 1; j < step.codes->count(); ++j) {
        row.push_back(static_cast<std::int32_t>(below(41) - 20));
      }
      if (below(8) == 0) row[0] = std::numeric_limits<std::int32_t>::min();
      if (below(8) == 0) row.back() = std::numeric_limits<std::int32_t>::max();
      std::sort(row.begin(), row.end());
      step.sum_thresholds.insert(step.sum_thresholds.end(), row.begin(), row.end());
      if (directed) step.direction.push_back(below(2) == 0 ? 1 : -1);
    }
  }

  void add_decode() {
    if (codes_.empty()) return;
    const int from = codes_.back();
    add({.op = StepOp::decode, .inputs = {from}}, program_.step(from).shape);
  }

  void finish() {
    if (!codes_.empty() && codes_.back() + 1 == static_cast<int>(program_.steps.size())) {
      add_decode();
    }
    const int image = floats_.back();
    const Shape& in = program_.step(image).shape;
    const bool whole = below(2) == 0;
    int x = add({.op = whole ? StepOp::flatten : StepOp::global_average_pool, .inputs = {image}},
                whole ? Shape{{in.elements()}} : Shape{{in.channels()}});
    const std::int64_t features = program_.step(x).channels();
    if (below(2) == 0 && whole) x = add_encode(x);
    Step fc{.op = StepOp::linear, .inputs = {x}};
    fc.weight = weight({5, features}, program_.step(x).codes.has_value());
    // The mean that global_average_pool makes need not be exact: one term, no sum of such.
    if (!whole) {
      fc = {.op = StepOp::affine, .inputs = {x}, .scale = {0.5F}, .bias = {0.25F}};
      program_.output = add(std::move(fc), Shape{{features}});
      return;
    }
    program_.output = add(std::move(fc), Shape{{5}});
  }

  std::mt19937 random_;
  packed::Program program_;
  std::vector<int> floats_, codes_;
};

}  // namespace qhost::tests
