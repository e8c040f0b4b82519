#include "packed/infer_shape.h"

#include "common/number_text.h"
#include "sdk/describe.h"

namespace qhost::packed {
namespace {

constexpr std::int64_t largest_dimension = std::int64_t{1} << 24;
constexpr std::int64_t most_values = (std::int64_t{1} << 31) - 1;

class Inference {
 public:
  Inference(const Program& program, const Step& step, std::string& why)
      : program_(program), step_(step), why_(why) {}

  std::optional<Shape> shape() {
    if (!has_inputs()) return {};
    std::optional<Shape> result = of_operation();
    if (!result || !why_.empty() || !is_within_limits(*result)) return {};
    return result;
  }

 private:
  std::optional<Shape> fail(const std::string& sentence) {
    if (why_.empty()) why_ = sentence;
    return {};
  }

  const Shape& input(std::size_t edge = 0) const { return program_.step(step_.inputs[edge]).shape; }

  bool has_inputs() {
    const std::size_t count = step_.inputs.size();
    std::size_t least = 1, most = 1;
    if (step_.op == StepOp::input) least = most = 0;
    if (step_.op == StepOp::add || step_.op == StepOp::concat) {
      least = 2;
      most = std::size_t{1} << 16;
    }
    if (step_.position) least = most = 2;
    if (count >= least && count <= most) return true;
    fail("it reads " + std::to_string(count) + " values, which no " + to_string(step_.op) +
         " does");
    return false;
  }

  bool is_size(const Size2& size, std::int64_t lowest, const char* what) {
    const bool good = size.height >= lowest && size.width >= lowest &&
                      size.height <= largest_dimension && size.width <= largest_dimension;
    if (!good) fail(std::string("its ") + what + " is " + qhost::to_string(size));
    return good;
  }

  static std::int64_t positions(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                                std::int64_t padding) {
    const std::int64_t room = size + 2 * padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
  }

  std::optional<Shape> window(std::int64_t channels, const Size2& kernel) {
    if (!input().is_image()) return fail("it reads " + to_string(input()) + ", which is no image");
    if (!is_size(kernel, 1, "kernel") || !is_size(step_.stride, 1, "stride") ||
        !is_size(step_.padding, 0, "padding")) {
      return {};
    }
    const auto framed = [](std::int64_t size, std::int64_t padding) {
      return static_cast<double>(size + 2 * padding);
    };
    if (framed(input().height(), step_.padding.height) *
            framed(input().width(), step_.padding.width) * static_cast<double>(input().channels()) >
        static_cast<double>(most_values)) {
      return fail("its padding " + qhost::to_string(step_.padding) + " around " +
                  to_string(input()) + " makes more than 2^31 - 1 values");
    }
    return Shape{
        {channels,
         positions(input().height(), kernel.height, step_.stride.height, step_.padding.height),
         positions(input().width(), kernel.width, step_.stride.width, step_.padding.width)}};
  }

  std::optional<Shape> conv2d() {
    if (!step_.weight || step_.weight->shape.size() != 4) return fail("it has no weight of rank 4");
    const std::vector<std::int64_t>& w = step_.weight->shape;
    if (step_.groups < 1 || step_.groups > w[0] || w[0] % step_.groups != 0) {
      return fail("its " + std::to_string(w[0]) + " output channels make no " +
                  std::to_string(step_.groups) + " groups");
    }
    if (!input().is_image() || input().channels() != w[1] * step_.groups) {
      return fail("its weight of shape " + shape_text(w) + " in " + std::to_string(step_.groups) +
                  " groups does not fit what it reads, " + to_string(input()));
    }
    return window(w[0], {w[2], w[3]});
  }

  std::optional<Shape> linear() {
    if (!step_.weight || step_.weight->shape.size() != 2) return fail("it has no weight of rank 2");
    const std::vector<std::int64_t>& w = step_.weight->shape;
    if (!input().is_features() || input().channels() != w[1]) {
      return fail("its weight of shape " + shape_text(w) + " does not fit what it reads, " +
                  to_string(input()));
    }
    return Shape{{w[0]}};
  }

  std::optional<Shape> concat() {
    Shape joined = input();
    joined.dims[0] = 0;
    for (std::size_t e = 0; e < step_.inputs.size(); ++e) {
      Shape rest = input(e);
      joined.dims[0] += rest.dims[0];
      rest.dims[0] = joined.dims[0];
      if (rest != joined) {
        return fail("it joins " + to_string(input(0)) + " and " + to_string(input(e)));
      }
    }
    return joined;
  }

  std::optional<Shape> subsample() {
    if (!input().is_image()) return fail("it reads " + to_string(input()) + ", which is no image");
    if (!is_size(step_.stride, 1, "stride")) return {};
    const std::int64_t channels = step_.shape.dims.empty() ? 0 : step_.shape.dims[0];
    if (channels < input().channels() || channels > largest_dimension) {
      return fail("it makes " + std::to_string(channels) + " channels of " +
                  std::to_string(input().channels()));
    }
    return Shape{{channels, (input().height() - 1) / step_.stride.height + 1,
                  (input().width() - 1) / step_.stride.width + 1}};
  }

  std::optional<Shape> of_operation() {
    switch (step_.op) {
      case StepOp::input:
        return step_.shape;
      case StepOp::conv2d:
        return conv2d();
      case StepOp::linear:
        return linear();
      case StepOp::max_pool:
      case StepOp::average_pool: {
        const std::optional<Shape> shape =
            window(input().is_image() ? input().channels() : 0, step_.kernel);
        const bool pads = shape && (step_.padding.height >= step_.kernel.height ||
                                    step_.padding.width >= step_.kernel.width);
        // A window must not lie in the padding alone.
        return pads ? fail("its padding " + qhost::to_string(step_.padding) +
                           " is not below its kernel " + qhost::to_string(step_.kernel))
                    : shape;
      }
      case StepOp::global_average_pool:
        if (!input().is_image()) return fail("it reads " + to_string(input()) + ", no image");
        return Shape{{input().channels()}};
      case StepOp::flatten:
        return Shape{{input().elements()}};
      case StepOp::add:
        for (std::size_t e = 1; e < step_.inputs.size(); ++e) {
          if (input(e) == input(0)) continue;
          return fail("it adds " + to_string(input(0)) + " and " + to_string(input(e)));
        }
        return input();
      case StepOp::concat:
        return concat();
      case StepOp::subsample:
        return subsample();
      case StepOp::encode:
      case StepOp::decode:
      case StepOp::round:
      case StepOp::affine:
      case StepOp::activation:
        return input();
    }
    return fail("its operation is unknown");
  }

  bool is_within_limits(const Shape& shape) {
    if (!shape.is_image() && !shape.is_features()) {
      fail("its shape " + to_string(shape) + " is neither an image nor features");
      return false;
    }
    std::int64_t values = 1;
    for (const std::int64_t dim : shape.dims) {
      if (dim < 1 || dim > largest_dimension || dim > most_values / values) {
        fail("its shape " + to_string(shape) +
             " has a dimension below 1 or above 2^24, or more than 2^31 - 1 values");
        return false;
      }
      values *= dim;
    }
    return true;
  }

  const Program& program_;
  const Step& step_;
  std::string& why_;
};

}  // namespace

std::optional<Shape> infer_shape(const Program& program, const Step& step, std::string& why) {
  return Inference(program, step, why).shape();
}

}  // namespace qhost::packed
