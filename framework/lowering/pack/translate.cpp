#include "lowering/pack/translate.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "common/defect.h"
#include "qhost/error.h"

namespace qhost::packing {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

/// Of several ways to write the same, the one that a packed file reads back: one entry is one for
/// all, and the sign of 0 is in the codes.
void make_canonical(Encoding& encoding, std::size_t scales, std::size_t zero_points,
                    std::int64_t channels) {
  encoding.sign_of_zero = +1;
  if (encoding.scale == ScaleKind::channel && scales == 1) encoding.scale = ScaleKind::tensor;
  if (encoding.zero_point == ZeroPointKind::channel && zero_points == 1) {
    encoding.zero_point = ZeroPointKind::tensor;
  }
  if (channels == 1) encoding.codebook_per_channel = false;
}

/// One 1 / sqrt, rounded once.
float inverse_root(float x) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}

class Translation {
 public:
  Translation(const InferenceGraph& graph, const InputCodesByEdge& inputs)
      : graph_(graph), inputs_(inputs) {
    for (const InferenceNode& node : graph.nodes) names_.insert(node.name);
  }

  Program result() {
    if (graph_.networks > 1) {
      refuse("the network",
             "evaluation averages the outputs of " + std::to_string(graph_.networks) + " networks",
             "choose an option of the method that evaluates one network");
    }
    for (const InferenceNode& node : graph_.nodes) steps_.push_back(translate(node));
    if (!problems_.empty()) throw error();
    program_.output = steps_.at(static_cast<std::size_t>(graph_.output));
    return std::move(program_);
  }

 private:
  void refuse(const std::string& where, const std::string& reason, const std::string& help) {
    problems_.push_back(where + ": " + reason);
    if (std::find(helps_.begin(), helps_.end(), help) == helps_.end()) helps_.push_back(help);
  }

  Error error() const {
    std::string message = "the network has no packed form:";
    for (const std::string& problem : problems_) message += "\n  " + problem;
    Error error(ErrorKind::configuration, message);
    for (const std::string& help : helps_) error.add_help(help);
    return error;
  }

  int add(Step step) {
    program_.steps.push_back(std::move(step));
    return static_cast<int>(program_.steps.size()) - 1;
  }

  /// BASE, or BASE2, ... where that is taken.
  std::string unused(const std::string& base) {
    std::string name = base;
    for (int i = 2; !names_.insert(name).second; ++i) name = base + std::to_string(i);
    return name;
  }

  int source(const InferenceEdge& edge) const {
    return steps_.at(static_cast<std::size_t>(edge.node));
  }

  static bool is_coded(const InferenceEdge& edge) {
    return !edge.method.empty() || edge.encoding != Encoding::float32();
  }

  /// The codes of an input; null, and a problem is noted, where it has no thresholds.
  const InputCodes* codes_of(const InferenceNode& node, std::size_t edge) {
    const auto found = inputs_.find({node.name, edge});
    if (found == inputs_.end()) {
      throw defect("no thresholds were found for input " + std::to_string(edge) + " of " +
                   node.name);
    }
    if (found->second.refusal.empty()) return &found->second;
    refuse(node.name + ", input " + std::to_string(edge), found->second.refusal,
           found->second.help);
    return nullptr;
  }

  /// A step equal to this one but for its name, or a new one.
  int shared(Step step) {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& other = program_.steps[i];
      if (other.op == step.op && other.inputs == step.inputs && other.codes == step.codes &&
          other.thresholds == step.thresholds && other.rounding == step.rounding) {
        return static_cast<int>(i);
      }
    }
    step.name = unused(step.name);
    return add(std::move(step));
  }

  int encode(int value, const InputCodes& input) {
    const Step& from = program_.step(value);
    Step step{.name = from.name + "/encode", .op = StepOp::encode, .inputs = {value}};
    step.shape = from.shape;
    step.codes = input.codes;
    packed::Codes& codes = *step.codes;
    make_canonical(codes.encoding, codes.scale.size(), codes.zero_point.size(), from.channels());
    step.thresholds = input.thresholds;
    return shared(std::move(step));
  }

  int round(int value, CodeKind rounding) {
    const Step& from = program_.step(value);
    Step step{.name = from.name + "/round", .op = StepOp::round, .inputs = {value}};
    step.shape = from.shape;
    step.rounding = rounding;
    return shared(std::move(step));
  }

  int decode(int codes) {
    const Step& from = program_.step(codes);
    const std::string& value = program_.step(from.inputs[0]).name;
    return shared(
        {.name = value + "/decode", .op = StepOp::decode, .inputs = {codes}, .shape = from.shape});
  }

  /// What a node without a weight reads.
  int value_of(const InferenceNode& node, std::size_t edge) {
    const int value = source(node.inputs[edge]);
    if (!is_coded(node.inputs[edge])) return value;
    const InputCodes* input = codes_of(node, edge);
    if (input == nullptr) return value;
    if (input->rounding != CodeKind::float32) return round(value, input->rounding);
    return decode(encode(value, *input));
  }

  std::vector<float> floats(const InferenceNode& node, const std::string& parameter) {
    const StoredTensor& tensor = *graph_.tensor(node, parameter);
    std::vector<float> values = float_values(tensor);
    require_finite(node, parameter, values);
    return values;
  }

  void require_finite(const InferenceNode& node, const std::string& what,
                      const std::vector<float>& values) {
    if (all_finite(values)) return;
    refuse(node.name, "its " + what + " holds values that are not finite",
           "go back to an earlier checkpoint (--checkpoint)");
  }

  int translate(const InferenceNode& node) {
    Step step{.name = node.name, .shape = node.shape};
    switch (node.op) {
      case Op::input:
        return add(std::move(step));
      case Op::conv2d:
      case Op::linear:
        return with_weight(node, std::move(step));
      case Op::dropout:
        return value_of(node, 0);
      case Op::custom:
        refuse(node.name, "a custom node of the type `" + node.custom_type + "` has no packed form",
               "give it a lowering (CustomOp::lower in qhost/custom.h), or build it from the "
               "operations of qhost/graph.h");
        return add(std::move(step));  // its shape, for those that read it
      default:
        break;
    }
    for (std::size_t e = 0; e < node.inputs.size(); ++e) step.inputs.push_back(value_of(node, e));
    take_options(node, step);
    return add(std::move(step));
  }

  void take_options(const InferenceNode& node, Step& step) {
    switch (node.op) {
      case Op::batch_norm:
        step.op = StepOp::affine;
        batch_norm(node, step);
        break;
      case Op::activation:
        step.op = StepOp::activation;
        step.activation = node.as<ActivationOptions>().kind;
        if (step.activation == Activation::leaky_relu) {
          step.slope = node.as<ActivationOptions>().slope;
        }
        break;
      case Op::add:
        step.op = StepOp::add;
        break;
      case Op::concat:
        step.op = StepOp::concat;
        break;
      case Op::max_pool:
      case Op::average_pool: {
        const auto& options = node.as<PoolOptions>();
        step.op = node.op == Op::max_pool ? StepOp::max_pool : StepOp::average_pool;
        step.kernel = options.kernel;
        step.stride = options.stride;
        step.padding = options.padding;
        break;
      }
      case Op::global_average_pool:
        step.op = StepOp::global_average_pool;
        break;
      case Op::subsample:
        step.op = StepOp::subsample;
        step.stride = node.as<SubsampleOptions>().stride;
        break;
      case Op::flatten:
        step.op = StepOp::flatten;
        break;
      default:
        throw defect(node.name + " has an operation without a step");
    }
  }

  void batch_norm(const InferenceNode& node, Step& step) {
    const auto& options = node.as<BatchNormOptions>();
    const std::vector<float> mean = floats(node, "running_mean");
    const std::vector<float> variance = floats(node, "running_var");
    std::vector<float> gamma(mean.size(), 1.0F), beta(mean.size(), 0.0F);
    if (options.affine) {
      gamma = floats(node, "weight");
      beta = floats(node, "bias");
    }
    const auto epsilon = static_cast<float>(options.epsilon);
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const float a = gamma[c] * inverse_root(variance[c] + epsilon);
      step.scale.push_back(a);
      step.bias.push_back(std::fma(-mean[c], a, beta[c]));
    }
    if (!problems_.empty()) return;
    require_finite(node, "factor gamma / sqrt(variance + epsilon)", step.scale);
    require_finite(node, "shift", step.bias);
  }

  int with_weight(const InferenceNode& node, Step step) {
    step.op = node.op == Op::conv2d ? StepOp::conv2d : StepOp::linear;
    if (node.op == Op::conv2d) {
      const auto& options = node.as<Conv2dOptions>();
      step.kernel = options.kernel;
      step.stride = options.stride;
      step.padding = options.padding;
      step.groups = options.groups;
    }
    if (graph_.networks > 1) {  // refused as a whole
      read_input(node, step);
      return add(std::move(step));
    }
    step.weight = *graph_.tensor(node, "weight");
    StoredTensor& weight = *step.weight;
    step.scale = std::move(weight.scale);
    weight.scale.clear();
    weight.encoding.scale = ScaleKind::none;
    make_canonical(weight.encoding, 0, weight.zero_point.size(), weight.channels());
    if (weight.encoding.is_float()) require_finite(node, "weight", packed::levels(weight));
    require_finite(node, "weight's scale", step.scale);
    require_finite(node, "weight's codebook", weight.table);
    if (node.has_tensor("bias")) step.bias = floats(node, "bias");
    read_input(node, step);
    return add(std::move(step));
  }

  void read_input(const InferenceNode& node, Step& step) {
    const InferenceEdge& edge = node.inputs[0];
    const int value = source(edge);
    step.inputs = {value};
    if (!is_coded(edge)) return;
    const InputCodes* input = codes_of(node, 0);
    if (input == nullptr) return;
    if (input->rounding != CodeKind::float32) {
      if (edge.padding_value != 0 && step.padding != Size2(0)) {
        refuse(node.name, "it pads inputs of 16-bit floats with another value than 0",
               "a padding value of 0 has a packed form");
      }
      step.inputs = {round(value, input->rounding)};
      return;
    }
    const int codes = encode(value, *input);
    if (input->codes.encoding.scale == ScaleKind::channel) {
      if (input->position) throw defect(node.name + " has input scales per channel and position");
      step.inputs = {decode(codes)};
      return;
    }
    step.inputs = {codes};
    if (input->position) step.inputs.push_back(value);
    step.position = input->position;
    if (step.padding != Size2(0)) step.padding_level = static_cast<float>(edge.padding_value);
    const std::vector<float>& scale = input->codes.scale;
    if (scale.empty()) return;
    if (step.scale.empty()) step.scale = {1.0F};
    for (float& s : step.scale) s *= scale[0];
  }

  const InferenceGraph& graph_;
  const InputCodesByEdge& inputs_;
  Program program_;
  std::vector<int> steps_;  ///< by node: the step that has its value
  std::set<std::string> names_;
  std::vector<std::string> problems_, helps_;
};

}  // namespace

Program translate(const InferenceGraph& graph, const InputCodesByEdge& inputs) {
  return Translation(graph, inputs).result();
}

}  // namespace qhost::packing
