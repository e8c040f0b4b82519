// tests/packed/reference_interpreter.h: packed/program.h word for word, in plain loops, without any
// code of the engine. Values are in the order channel, row, column.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "packed/halves.h"
#include "packed/program.h"

namespace qhost::tests {

/// A value of a step: floats, or codes.
struct ReferenceValue {
  std::vector<float> floats;
  std::vector<std::uint8_t> codes;
  /// conv2d and linear: the sums of levels, before all else.
  std::vector<double> sums;
};

class ReferenceInterpreter {
 public:
  explicit ReferenceInterpreter(const packed::Program& program) : program_(program) {}

  /// The values of all steps for one image.
  const std::vector<ReferenceValue>& run(const std::vector<float>& image) {
    values_.assign(program_.steps.size(), {});
    values_[0].floats = image;
    for (std::size_t i = 1; i < values_.size(); ++i) compute(static_cast<int>(i));
    return values_;
  }
  std::vector<float> logits(const std::vector<float>& image) {
    return run(image)[static_cast<std::size_t>(program_.output)].floats;
  }

 private:
  using Step = packed::Step;
  using StepOp = packed::StepOp;

  struct Size {
    std::int64_t channels, height, width;
    std::int64_t plane() const { return height * width; }
  };
  static Size size_of(const Shape& shape) {
    return shape.is_image() ? Size{shape.channels(), shape.height(), shape.width()}
                            : Size{shape.channels(), 1, 1};
  }
  ReferenceValue& value(int index) { return values_[static_cast<std::size_t>(index)]; }
  static std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }
  static float pick(const std::vector<float>& list, std::int64_t c) {
    return list[list.size() == 1 ? 0 : at(c)];
  }

  void compute(int index) {
    const Step& step = program_.step(index);
    const Step& source = program_.step(step.inputs[0]);
    ReferenceValue& out = value(index);
    const std::vector<float>& x = value(step.inputs[0]).floats;
    const Size in = size_of(source.shape), size = size_of(step.shape);
    switch (step.op) {
      case StepOp::input:
        return;
      case StepOp::encode:
        for (std::int64_t i = 0; i < step.shape.elements(); ++i) {
          out.codes.push_back(code(step, step.thresholds, x[at(i)], i / size.plane()));
        }
        return;
      case StepOp::decode:
        for (std::int64_t i = 0; i < step.shape.elements(); ++i) {
          const std::int64_t c = i / size.plane();
          const float level = packed::levels(*source.codes, c)[value(step.inputs[0]).codes[at(i)]];
          out.floats.push_back(source.codes->scale.empty() ? level
                                                           : level * pick(source.codes->scale, c));
        }
        return;
      case StepOp::conv2d:
      case StepOp::linear:
        return convolve(step, in, size, out);
      case StepOp::round:
        for (const float each : x) out.floats.push_back(packed::rounded_to(step.rounding, each));
        return;
      case StepOp::affine:
        for (std::int64_t i = 0; i < step.shape.elements(); ++i) {
          const std::int64_t c = i / size.plane();
          out.floats.push_back(std::fma(x[at(i)], pick(step.scale, c), pick(step.bias, c)));
        }
        return;
      case StepOp::activation:
        for (const float each : x) out.floats.push_back(activate(step, each));
        return;
      case StepOp::add:
        out.floats = x;
        for (std::size_t e = 1; e < step.inputs.size(); ++e) {
          for (std::size_t i = 0; i < x.size(); ++i) {
            out.floats[i] += value(step.inputs[e]).floats[i];
          }
        }
        return;
      case StepOp::concat:
        for (const int each : step.inputs) {
          const std::vector<float>& more = value(each).floats;
          out.floats.insert(out.floats.end(), more.begin(), more.end());
        }
        return;
      case StepOp::max_pool:
      case StepOp::average_pool:
        return pool(step, step.kernel, in, size, x, out);
      case StepOp::global_average_pool:
        return pool(step, {in.height, in.width}, in, size, x, out);
      case StepOp::subsample: {
        const std::int64_t offset = (size.channels - in.channels) / 2;
        for_each_position(size, [&](std::int64_t c, std::int64_t i, std::int64_t j) {
          const std::int64_t from = c - offset;
          const bool exists = from >= 0 && from < in.channels;
          out.floats.push_back(exists
                                   ? x[at((from * in.height + i * step.stride.height) * in.width +
                                          j * step.stride.width)]
                                   : 0);
        });
        return;
      }
      case StepOp::flatten:
        out.floats = x;
        return;
    }
  }

  template <class Visit>
  static void for_each_position(const Size& size, const Visit& visit) {
    for (std::int64_t c = 0; c < size.channels; ++c) {
      for (std::int64_t i = 0; i < size.height; ++i) {
        for (std::int64_t j = 0; j < size.width; ++j) visit(c, i, j);
      }
    }
  }

  template <class Number, class Value>
  static std::uint8_t code(const Step& step, const std::vector<Number>& thresholds, Value x,
                           std::int64_t c) {
    const std::int64_t n = step.codes->count() - 1;
    const bool rows = static_cast<std::int64_t>(thresholds.size()) > n;
    const Value seen = step.direction.empty() ? x : static_cast<Value>(step.direction[at(c)]) * x;
    std::uint8_t result = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      result = static_cast<std::uint8_t>(
          result + (seen >= static_cast<Value>(thresholds[at((rows ? c * n : 0) + j)]) ? 1 : 0));
    }
    return result;
  }

  static float activate(const Step& step, float x) {
    const auto slope = static_cast<float>(step.slope);
    switch (step.activation) {
      case Activation::relu:
        return x > 0 || std::isnan(x) ? x : 0;
      case Activation::relu6:
        return std::isnan(x) ? x : std::min(std::max(x, 0.0F), 6.0F);
      case Activation::leaky_relu:
        return x > 0 ? x : slope * x;
      case Activation::hardtanh:
        return std::isnan(x) ? x : std::min(std::max(x, -1.0F), 1.0F);
      case Activation::tanh:
        return std::tanh(x);
      case Activation::sigmoid:
        return 1 / (1 + std::exp(-x));
      case Activation::silu:
        return x / (1 + std::exp(-x));
      case Activation::gelu:
        return x / 2 * (1 + std::erf(x / std::sqrt(2.0F)));
    }
    return x;
  }

  static void pool(const Step& step, const Size2& kernel, const Size& in, const Size& size,
                   const std::vector<float>& x, ReferenceValue& out) {
    for_each_position(size, [&](std::int64_t c, std::int64_t i, std::int64_t j) {
      float sum = 0, most = -std::numeric_limits<float>::infinity();
      std::int64_t count = 0;
      for (std::int64_t u = 0; u < kernel.height; ++u) {
        for (std::int64_t v = 0; v < kernel.width; ++v) {
          const std::int64_t y = i * step.stride.height + u - step.padding.height;
          const std::int64_t z = j * step.stride.width + v - step.padding.width;
          if (y < 0 || z < 0 || y >= in.height || z >= in.width) continue;
          const float each = x[at((c * in.height + y) * in.width + z)];
          sum += each;
          most = each > most || std::isnan(each) ? each : most;
          ++count;
        }
      }
      out.floats.push_back(step.op == StepOp::max_pool ? most : sum / static_cast<float>(count));
    });
  }

  void convolve(const Step& step, const Size& in, const Size& size, ReferenceValue& out) {
    const Step& source = program_.step(step.inputs[0]);
    const std::vector<float> weight = packed::levels(*step.weight);
    std::vector<float> x = value(step.inputs[0]).floats;
    if (source.codes) {
      const std::vector<std::uint8_t>& codes = value(step.inputs[0]).codes;
      for (std::int64_t i = 0; i < source.shape.elements(); ++i) {
        x.push_back(packed::levels(*source.codes, i / in.plane())[codes[at(i)]]);
      }
    }
    const std::int64_t kh = step.kernel.height, kw = step.kernel.width;
    const std::int64_t per_group = in.channels / step.groups;
    const int unit = packed::unit(*step.weight) * (source.codes ? source.codes->unit() : 0);
    for_each_position(size, [&](std::int64_t c, std::int64_t i, std::int64_t j) {
      const std::int64_t first = c / (size.channels / step.groups) * per_group;
      double sum = 0;
      for (std::int64_t k = 0; k < per_group; ++k) {
        for (std::int64_t u = 0; u < kh; ++u) {
          for (std::int64_t v = 0; v < kw; ++v) {
            const std::int64_t y = i * step.stride.height + u - step.padding.height;
            const std::int64_t z = j * step.stride.width + v - step.padding.width;
            const bool outside = y < 0 || z < 0 || y >= in.height || z >= in.width;
            const float level =
                outside ? step.padding_level : x[at(((first + k) * in.height + y) * in.width + z)];
            sum += static_cast<double>(weight[at(((c * per_group + k) * kh + u) * kw + v)]) * level;
          }
        }
      }
      out.sums.push_back(sum);
      if (!step.sum_thresholds.empty()) {
        out.codes.push_back(code(step, step.sum_thresholds, sum * unit, c));
        return;
      }
      auto y = static_cast<float>(sum);
      if (step.position) y *= position(step, i, j);
      if (!step.scale.empty() && !step.bias.empty()) {
        y = std::fma(y, pick(step.scale, c), pick(step.bias, c));
      } else if (!step.scale.empty()) {
        y *= pick(step.scale, c);
      } else if (!step.bias.empty()) {
        y += pick(step.bias, c);
      }
      out.floats.push_back(y);
    });
  }

  /// K.
  float position(const Step& step, std::int64_t i, std::int64_t j) {
    const Size in = size_of(program_.step(step.inputs[1]).shape);
    const std::vector<float>& x = value(step.inputs[1]).floats;
    double sum = 0;
    for (std::int64_t u = 0; u < step.kernel.height; ++u) {
      for (std::int64_t v = 0; v < step.kernel.width; ++v) {
        const std::int64_t y = i * step.stride.height + u - step.padding.height;
        const std::int64_t z = j * step.stride.width + v - step.padding.width;
        if (y < 0 || z < 0 || y >= in.height || z >= in.width) continue;
        double mean = 0;
        for (std::int64_t c = 0; c < in.channels; ++c) {
          mean += std::abs(x[at((c * in.height + y) * in.width + z)]);
        }
        sum += mean / static_cast<double>(in.channels);
      }
    }
    return static_cast<float>(sum / static_cast<double>(step.kernel.height * step.kernel.width));
  }

  const packed::Program& program_;
  std::vector<ReferenceValue> values_;
};

}  // namespace qhost::tests
