#include "model/interpreter.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "common/defect.h"
#include "model/operations.h"
#include "model/slot_math.h"
#include "model/stored.h"
#include "qhost/error.h"

namespace qhost {
namespace {

bool is_coded(const InferenceEdge& edge) {
  return !edge.method.empty() || edge.encoding != Encoding::float32();
}

[[noreturn]] void fail(const std::string& sentence) {
  throw defect(sentence);
}

}  // namespace

/// The values of one run, by node.
struct Interpreter::Values {
  const at::Tensor& input;
  std::vector<at::Tensor> of;
  at::Tensor& at(int index) { return of[static_cast<std::size_t>(index)]; }
};

Interpreter::Interpreter(const InferenceGraph& graph,
                         const std::map<std::string, at::Tensor>& bound, InterpreterHost& host,
                         at::Device device, bool channels_last)
    : graph_(graph), host_(host), steps_(graph.nodes.size()) {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const InferenceNode& node = graph_.nodes[i];
    Step& step = steps_[i];
    step.overwrites_input = may_overwrite(node);
    const auto value = [&](const char* parameter) {
      return stored_value(node.tensors.at(parameter).at(0), bound, device);
    };
    if (node.has_weight()) {
      prepare_weights(static_cast<int>(i), bound, device, channels_last);
      if (node.has_tensor("bias")) step.bias = value("bias");
    } else if (node.op == Op::batch_norm) {
      if (node.as<BatchNormOptions>().affine) {
        step.parameters = {value("weight"), value("bias")};
      }
      step.parameters.push_back(value("running_mean"));
      step.parameters.push_back(value("running_var"));
    }
  }
  find_last_reads();
}

at::Tensor Interpreter::stored_value(const std::string& name,
                                     const std::map<std::string, at::Tensor>& bound,
                                     at::Device device) const {
  if (const auto found = bound.find(name); found != bound.end()) return found->second;
  const StoredTensor& tensor = graph_.tensors.at(name);
  if (!tensor.has_contents()) fail("the tensor " + name + " has no contents");
  return decode(encoded(tensor, device));
}

void Interpreter::prepare_weights(int index, const std::map<std::string, at::Tensor>& bound,
                                  at::Device device, bool channels_last) {
  const InferenceNode& node = graph_.node(index);
  std::vector<InterpretedWeight>& weights = steps_[static_cast<std::size_t>(index)].weights;
  for (const std::string& name : node.tensors.at("weight")) {
    if (const auto found = bound.find(name); found != bound.end()) {
      weights.push_back({.levels = found->second});
      continue;
    }
    const StoredTensor& tensor = graph_.tensors.at(name);
    if (!tensor.has_contents()) fail("the tensor " + name + " has no contents");
    const Encoded codes = encoded(tensor, device);
    const at::Tensor all = levels(codes);
    const at::Tensor scale =
        codes.scale.defined() ? over_channels(codes.scale, node.op) : at::Tensor();
    const auto format = channels_last && node.op == Op::conv2d ? at::MemoryFormat::ChannelsLast
                                                               : at::MemoryFormat::Contiguous;
    const int size = tensor.encoding.ensemble_size;
    for (int member = 0; member < size; ++member) {
      weights.push_back(
          {.levels = (size > 1 ? all[member] : all).contiguous(format), .scale = scale});
    }
  }
}

/// A ReLU or an add overwrites what it reads when nobody else reads it: one pass over memory less.
bool Interpreter::may_overwrite(const InferenceNode& node) const {
  const bool relu =
      node.op == Op::activation && node.as<ActivationOptions>().kind == Activation::relu;
  if (!relu && node.op != Op::add) return false;
  if (std::any_of(node.inputs.begin(), node.inputs.end(), is_coded)) return false;
  const int source = node.inputs[0].node;
  return source != graph_.output && graph_.readers(source).size() == 1 &&
         output_is_free(graph_.node(source).op);
}

void Interpreter::find_last_reads() {
  std::vector<int> last(steps_.size(), -1);
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    for (const InferenceEdge& edge : graph_.nodes[i].inputs) {
      last[static_cast<std::size_t>(edge.node)] = static_cast<int>(i);
    }
  }
  for (std::size_t value = 0; value < steps_.size(); ++value) {
    if (last[value] < 0 || static_cast<int>(value) == graph_.output) continue;
    steps_[static_cast<std::size_t>(last[value])].last_read.push_back(static_cast<int>(value));
  }
}

InterpretedWeight Interpreter::weight(int node, int network) const {
  const auto& weights = steps_.at(static_cast<std::size_t>(node)).weights;
  return weights.at(static_cast<std::size_t>(network) % weights.size());
}

at::Tensor Interpreter::bias(int node) const {
  return steps_.at(static_cast<std::size_t>(node)).bias;
}

void Interpreter::replace(int node, const InterpretedWeight& weight, const at::Tensor& bias) {
  Step& step = steps_.at(static_cast<std::size_t>(node));
  step.weights = {weight};
  step.bias = bias;
}

/// What an operation without a weight reads: a coded edge as its values.
at::Tensor Interpreter::read(int index, std::size_t edge, Values& values,
                             const Interpretation& run) {
  const InferenceNode& node = graph_.node(index);
  const at::Tensor& x = values.at(node.inputs[edge].node);
  if (!is_coded(node.inputs[edge])) return x;
  return decode(encode(node, edge, x, run).codes, 1);
}

EncodedInput Interpreter::encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                                 const Interpretation& run) {
  EncodedInput input = host_.encode(node, edge, x, run);
  if (run.watch != nullptr) run.watch->codes(node, edge, x, input);
  return input;
}

at::Tensor Interpreter::affine(int index, Values& values, const Interpretation& run) {
  const InferenceNode& node = graph_.node(index);
  const Step& step = steps_[static_cast<std::size_t>(index)];
  at::Tensor x = values.at(node.inputs[0].node);
  at::Tensor input_scale, output_scale;
  if (is_coded(node.inputs[0])) {
    const EncodedInput input = encode(node, 0, x, run);
    // A factor common to all inputs of an output leaves the sum; one per input channel cannot.
    if (input.codes.encoding.scale == ScaleKind::channel) {
      x = decode(input.codes, 1);
    } else {
      x = levels(input.codes, 1);
      input_scale = input.codes.scale;
    }
    output_scale = input.output_scale;
  }
  const double padding_value = node.inputs[0].padding_value;
  const InterpretedWeight weight = this->weight(index, run.network);
  const auto finish = [&](const at::Tensor& sums) {
    return this->finish(index, weight, input_scale, output_scale, sums);
  };
  const bool plain = node.method.empty() && !input_scale.defined() && !output_scale.defined();
  at::Tensor y =
      convolve(node.options, x, weight.levels, plain ? step.bias : at::Tensor(), padding_value);
  if (!plain) y = finish(y);
  if (run.watch != nullptr) run.watch->layer(node, x, finish, y);
  return y;
}

at::Tensor Interpreter::finish(int index, const InterpretedWeight& weight,
                               const at::Tensor& input_scale, const at::Tensor& output_scale,
                               at::Tensor y) const {
  at::Tensor scale = weight.scale;
  if (input_scale.defined()) {
    scale = scale.defined() ? scale * input_scale.reshape({}) : input_scale.reshape({});
  }
  if (scale.defined()) y.mul_(scale);
  if (output_scale.defined()) y.mul_(output_scale);
  const Step& step = steps_[static_cast<std::size_t>(index)];
  if (step.bias.defined()) y.add_(over_channels(step.bias, graph_.node(index).op));
  return y;
}

at::Tensor Interpreter::output_of(int index, Values& values, const Interpretation& run) {
  const InferenceNode& node = graph_.node(index);
  const Step& step = steps_[static_cast<std::size_t>(index)];
  const auto in = [&](std::size_t edge) { return read(index, edge, values, run); };
  const auto all = [&] {
    std::vector<at::Tensor> inputs;
    for (std::size_t e = 0; e < node.inputs.size(); ++e) inputs.push_back(in(e));
    return inputs;
  };
  switch (node.op) {
    case Op::input:
      return values.input.to(at::kFloat);
    case Op::conv2d:
    case Op::linear:
      return affine(index, values, run);
    case Op::batch_norm: {
      const auto& options = node.as<BatchNormOptions>();
      const double momentum = run.averaged_batches > 0
                                  ? 1.0 / static_cast<double>(run.averaged_batches)
                                  : options.momentum;
      return normalize(options, in(0), step.parameters, run.averaged_batches > 0, momentum);
    }
    case Op::activation:
    case Op::add:
    case Op::concat:
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
    case Op::subsample:
    case Op::flatten:
      return plain_output(node.op, node.options, all(), step.overwrites_input);
    case Op::dropout:
      return in(0);
    case Op::custom:
      return host_.custom(node, all(), run);
  }
  fail(node.name + " has an unknown operation");
}

at::Tensor Interpreter::run(const at::Tensor& x, const Interpretation& run) {
  Values values{.input = x, .of = std::vector<at::Tensor>(steps_.size())};
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const int index = static_cast<int>(i);
    at::Tensor y = output_of(index, values, run);
    if (run.last == index) return y;
    if (run.non_finite != nullptr && run.non_finite->empty() &&
        !at::isfinite(y).all().item<bool>()) {
      *run.non_finite = graph_.node(index).name;
    }
    values.at(index) = std::move(y);
    for (const int dead : steps_[i].last_read) values.at(dead) = at::Tensor();
  }
  return values.at(graph_.output).to(at::kFloat);
}

}  // namespace qhost
