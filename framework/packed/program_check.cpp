// Whether a program is sound: what the engine relies on.
#include <algorithm>
#include <cmath>
#include <set>

#include "packed/infer_shape.h"
#include "packed/program.h"

namespace qhost::packed {
namespace {

/// Integer sums must stay far within 32 bits.
constexpr double largest_sum = 1 << 30;

bool reads_codes(const Step& step) {
  return step.op == StepOp::decode || step.op == StepOp::conv2d || step.op == StepOp::linear;
}
bool has_weight(const Step& step) {
  return step.op == StepOp::conv2d || step.op == StepOp::linear;
}

class Check {
 public:
  explicit Check(const Program& program) : program_(program) {}

  std::string result() {
    if (program_.steps.empty()) return "it has no steps";
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      index_ = static_cast<int>(i);
      step_ = &program_.steps[i];
      check_step();
      if (!why_.empty()) return "the step `" + step_->name + "`: " + why_;
    }
    if (program_.output < 0 || program_.output >= static_cast<int>(program_.steps.size())) {
      return "its output is step " + std::to_string(program_.output) + " of " +
             std::to_string(program_.steps.size());
    }
    const Step& output = program_.step(program_.output);
    if (!output.shape.is_features() || output.codes) {
      return "its output `" + output.name + "` is no list of floats, one for each class";
    }
    return check_provenance(output);
  }

 private:
  void fail(const std::string& sentence) {
    if (why_.empty()) why_ = sentence;
  }
  void require(bool condition, const std::string& sentence) {
    if (!condition) fail(sentence);
  }

  void check_step() {
    require(!step_->name.empty(), "it has no name");
    require(names_.insert(step_->name).second, "another step has its name");
    require((step_->op == StepOp::input) == (index_ == 0),
            "the first step is the input, and no other is");
    for (const int input : step_->inputs) {
      require(input >= 0 && input < index_, "it reads step " + std::to_string(input) +
                                                ", and a step reads earlier ones only (it "
                                                "is step " +
                                                std::to_string(index_) + ")");
    }
    if (!why_.empty()) return;
    if (step_->weight) {
      const std::string why = qhost::why_invalid(*step_->weight);
      require(why.empty(), "its weight: " + why);
      if (!why_.empty()) return;
    }
    const std::optional<Shape> shape = infer_shape(program_, *step_, why_);
    if (!shape) return;
    require(*shape == step_->shape, "its shape is " + to_string(step_->shape) + ", and what it " +
                                        "reads makes " + to_string(*shape));
    if (!why_.empty()) return;
    check_inputs();
    check_weight();
    check_numbers();
    check_codes();
    if (why_.empty()) check_thresholds();
    if (why_.empty()) check_sums();
  }

  void check_inputs() {
    for (std::size_t e = 0; e < step_->inputs.size(); ++e) {
      const Step& input = program_.step(step_->inputs[e]);
      const bool coded = input.codes.has_value();
      if (e == 0 && step_->op == StepOp::decode) require(coded, "it reads no codes");
      if (coded && (e > 0 || !reads_codes(*step_))) {
        fail("it reads the codes of `" + input.name + "`, and needs floats");
      }
    }
    if (!step_->position) return;
    require(has_weight(*step_), "it has no sums for a scale per position");
    require(program_.step(step_->inputs[0]).codes.has_value() &&
                program_.step(step_->inputs[1]).shape == program_.step(step_->inputs[0]).shape,
            "its scale per position is not computed from the value that its codes stand for");
  }

  void check_weight() {
    require(has_weight(*step_) == step_->weight.has_value(),
            has_weight(*step_) ? "it has no weight" : "it has a weight, which none such has");
    if (!step_->weight || !why_.empty()) return;
    const StoredTensor& weight = *step_->weight;
    require(weight.has_contents(), "its weight has no contents");
    require(weight.elements() < std::int64_t{1} << 31,
            "its weight has more than 2^31 - 1 elements");
    require(step_->op == StepOp::linear ? step_->kernel == Size2(1)
                                        : step_->kernel == Size2(weight.shape[2], weight.shape[3]),
            "its kernel is not that of its weight");
    require(weight.encoding.scale == ScaleKind::none,
            "its weight has a scale of its own: " + to_string(weight.encoding));
    require(weight.encoding.ensemble_size == 1, "its weight is of several networks");
    for (const float entry : weight.table) require(std::isfinite(entry), "its table is not finite");
    check_zero_points(weight.zero_point);
    require(std::isfinite(step_->padding_level), "its padding is not finite");
    const bool pads = step_->padding.height > 0 || step_->padding.width > 0;
    const bool coded = program_.step(step_->inputs[0]).codes.has_value();
    require(step_->padding_level == 0 || (coded && pads),
            "its padding holds a level, and it pads no codes");
  }

  void check_zero_points(const std::vector<std::int32_t>& zero_points) {
    for (const std::int32_t half_steps : zero_points) {
      require(half_steps >= -(1 << 16) && half_steps <= 1 << 16,
              "its zero point " + std::to_string(half_steps) + " is beyond 65536 half steps");
    }
  }

  void check_list(const char* what, const std::vector<float>& list, bool required) {
    const std::int64_t channels = step_->channels();
    const auto count = static_cast<std::int64_t>(list.size());
    require(count == 1 || count == channels || (count == 0 && !required),
            std::string("it has ") + std::to_string(count) + " numbers of its " + what +
                ", not 1 or " + std::to_string(channels));
    for (const float value : list) {
      require(std::isfinite(value), std::string("its ") + what + " is not finite");
    }
  }

  void check_numbers() {
    if (has_weight(*step_) || step_->op == StepOp::affine) {
      check_list("scale", step_->scale, step_->op == StepOp::affine);
      check_list("bias", step_->bias, step_->op == StepOp::affine);
    } else {
      require(step_->scale.empty() && step_->bias.empty(),
              "it has a scale or a bias, which none such has");
    }
    require(std::isfinite(step_->slope), "its slope is not finite");
    const bool halves =
        step_->rounding == CodeKind::float16 || step_->rounding == CodeKind::bfloat16;
    require(halves == (step_->op == StepOp::round), "only a round step rounds, to 16 bits");
  }

  void check_codes() {
    const bool integer = !step_->sum_thresholds.empty();
    require((step_->op == StepOp::encode) == !step_->thresholds.empty(),
            "thresholds of floats belong to an encode step");
    require(!integer || has_weight(*step_), "thresholds of sums belong to a conv2d or linear step");
    require(step_->codes.has_value() == (step_->op == StepOp::encode || integer),
            "codes come from an encode step, or from sums with thresholds");
    if (!step_->codes || !why_.empty()) return;
    const Codes& codes = *step_->codes;
    const std::string why = qhost::why_invalid(codes.encoding);
    require(why.empty(), "its codes: " + why);
    require(!codes.encoding.is_float() && codes.encoding.ensemble_size == 1 &&
                codes.encoding.scale != ScaleKind::position,
            "its codes are " + to_string(codes.encoding));
    if (!why_.empty()) return;
    const std::int64_t channels = step_->channels();
    const auto wanted = [&](bool none, bool channel) {
      return none ? std::int64_t{0} : channel ? channels : std::int64_t{1};
    };
    const auto fits = [](std::size_t count, std::int64_t number) {
      return static_cast<std::int64_t>(count) == number;
    };
    require(fits(codes.scale.size(), wanted(codes.encoding.scale == ScaleKind::none,
                                            codes.encoding.scale == ScaleKind::channel)) &&
                fits(codes.zero_point.size(),
                     wanted(codes.encoding.zero_point == ZeroPointKind::none,
                            codes.encoding.zero_point == ZeroPointKind::channel)) &&
                fits(codes.table.size(), wanted(codes.encoding.kind != CodeKind::codebook,
                                                codes.encoding.codebook_per_channel) *
                                             codes.count()),
            "the scales, zero points or tables of its codes are not as many as " +
                to_string(codes.encoding) + " has");
    for (const float value : codes.scale) require(std::isfinite(value), "a scale is not finite");
    for (const float value : codes.table) require(std::isfinite(value), "its table is not finite");
    check_zero_points(codes.zero_point);
  }

  template <class Number>
  void check_rows(const std::vector<Number>& thresholds, bool per_channel) {
    const std::int64_t n = step_->codes->count() - 1, channels = step_->channels();
    const auto count = static_cast<std::int64_t>(thresholds.size());
    require(count == n * channels || (count == n && !per_channel),
            "it has " + std::to_string(count) + " thresholds, not " +
                (per_channel ? "" : std::to_string(n) + " or ") + std::to_string(n * channels));
    if (!why_.empty()) return;
    for (std::size_t i = 0; i < thresholds.size(); ++i) {
      if constexpr (std::is_floating_point_v<Number>) {
        require(!std::isnan(thresholds[i]), "a threshold is NaN");
      }
      const bool first = static_cast<std::int64_t>(i) % n == 0;
      require(first || thresholds[i - 1] <= thresholds[i], "its thresholds do not rise");
    }
  }

  void check_thresholds() {
    const auto directions = static_cast<std::int64_t>(step_->direction.size());
    require(directions == 0 || (step_->codes && directions == step_->channels()),
            "it has " + std::to_string(directions) + " directions");
    for (const std::int8_t direction : step_->direction) {
      require(direction == 1 || direction == -1,
              "a direction is " + std::to_string(direction) + ", not 1 or -1");
    }
    if (!why_.empty() || !step_->codes) return;
    if (step_->op == StepOp::encode) {
      check_rows(step_->thresholds, directions > 0);
    } else {
      check_rows(step_->sum_thresholds, true);
    }
  }

  void check_sums() {
    if (step_->sum_thresholds.empty()) return;
    const Step& input = program_.step(step_->inputs[0]);
    require(
        input.codes && unit(*step_->weight) != 0 && input.codes->unit() != 0 && !step_->position,
        "its sums are no integers, and their thresholds are");
    require(step_->scale.empty() && step_->bias.empty(),
            "it has thresholds of its sums, and a scale or a bias as well");
    if (!why_.empty()) return;
    const double limit = largest_term() * static_cast<double>(step_->weight->elements()) /
                         static_cast<double>(step_->channels());
    require(limit <= largest_sum, "its sums may pass 2^30");
  }

  double largest_term() const {
    const Step& input = program_.step(step_->inputs[0]);
    const double weight = largest_level(*step_->weight);
    double value = std::abs(step_->padding_level);
    // Of the zero points, that of the largest levels: one pass for any number of channels.
    packed::Codes codes = *input.codes;
    if (codes.zero_point.size() > 1) {
      const auto [low, high] =
          std::minmax_element(codes.zero_point.begin(), codes.zero_point.end());
      codes.zero_point = {*low, *high};
    }
    for (std::size_t c = 0; c < std::max<std::size_t>(codes.zero_point.size(), 1); ++c) {
      for (const float level : levels(codes, static_cast<std::int64_t>(c))) {
        value = std::max(value, static_cast<double>(std::abs(level)));
      }
    }
    return weight * unit(*step_->weight) * value * input.codes->unit();
  }

  std::string check_provenance(const Step& output) const {
    const Provenance& p = program_.provenance;
    const auto fits = [&](std::size_t count, std::int64_t wanted) {
      return count == 0 || static_cast<std::int64_t>(count) == wanted;
    };
    if (!fits(p.class_names.size(), output.channels())) {
      return "it names " + std::to_string(p.class_names.size()) + " classes, and has " +
             std::to_string(output.channels()) + " outputs";
    }
    const std::int64_t channels = program_.input().channels();
    if (!fits(p.mean.size(), channels) || !fits(p.deviation.size(), channels)) {
      return "its normalization is not of " + std::to_string(channels) + " channels";
    }
    for (const double value : p.mean) {
      if (!std::isfinite(value)) return "its normalization is not finite";
    }
    for (const double value : p.deviation) {
      if (!std::isfinite(value) || value <= 0) return "its normalization divides by no number";
    }
    return "";
  }

  const Program& program_;
  const Step* step_ = nullptr;
  int index_ = 0;
  std::set<std::string> names_;
  std::string why_;
};

}  // namespace

std::string why_invalid(const Program& program) {
  return Check(program).result();
}

}  // namespace qhost::packed
