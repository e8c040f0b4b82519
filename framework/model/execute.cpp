/// Training and calibration: the network node by node, with the methods' forward() and observe().
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <sstream>

#include "model/backward_watch.h"
#include "model/model.h"
#include "model/operations.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"
#include "qhost/custom.h"
#include "qhost/error.h"
#include "qhost/parallel.h"

namespace qhost {
namespace {

/// What forward() or backward() gave takes the place of `wanted`.
void require_shape(const PluginCall& call, const at::Tensor& given, const at::Tensor& wanted) {
  if (!given.defined()) broke_word(call, "it gives no tensor");
  if (given.sizes() == wanted.sizes()) return;
  std::ostringstream text;
  text << "it gives the shape " << given.sizes() << " for " << wanted.sizes();
  broke_word(call, text.str());
}

}  // namespace

at::Tensor Model::dropout(const at::Tensor& x, const std::string& node, double probability,
                          const RunPosition& position) const {
  if (probability == 0) return x;
  const at::NoGradGuard no_grad;
  const Random random =
      Random::keyed(position.seed, node, "dropout", static_cast<std::uint64_t>(position.step));
  at::Tensor keep = at::empty_like(x, x.options().dtype(at::kFloat));
  if (x.is_cpu()) {
    // In memory order, in blocks with keys of their own, so that the threads share the work and
    // their number does not matter.
    constexpr std::int64_t block = 1 << 14;
    auto* data = keep.data_ptr<float>();
    parallel_blocks(keep.numel(), block, [&](std::int64_t first, std::int64_t last) {
      Random part =
          Random::keyed(random.key(), "", "block", static_cast<std::uint64_t>(first / block));
      part.fill_uniform(data + first, static_cast<std::size_t>(last - first));
    });
  } else {
    keep = uniform_like(random, x);
  }
  const double scale = probability < 1 ? 1 / (1 - probability) : 0;
  return keep.ge_(probability).mul_(scale).to(x.scalar_type());
}

at::Tensor Model::in_front_of_relu(const Run& run, const ReluElision& elision) const {
  at::Tensor x = run.values[static_cast<std::size_t>(elision.source)];
  for (const int id : elision.through) {
    const Node& between = graph_.node(id);
    x = between.op == Op::flatten ? x.flatten(1) : pool(between.op, between.as<PoolOptions>(), x);
  }
  return x;
}

at::Tensor Model::edge(Run& run, const Step& step, std::size_t index, at::Tensor* output_scale) {
  const Node& node = *step.node;
  const PlannedSlot* slot = step.inputs[index];
  const at::Tensor& direct = run.values[static_cast<std::size_t>(node.inputs[index])];
  if (slot == nullptr) return direct;
  const bool calibrating = run.mode == Mode::calibrate;
  if (!calibrating && !is_active(*slot, run.position.epoch)) return direct;

  at::Tensor x = slot->elision ? in_front_of_relu(run, *slot->elision) : direct;
  const NoAutocast guard(x.device().type());
  const SlotContext now = context(slot->info, slot->traits, run.mode, run.position, 0);
  x = x.to(at::kFloat);
  if (calibrating) {
    call_plugin(call_of(*slot, "observe"), [&] { slot->input->observe(now, x); });
    return direct;
  }
  const PluginCall call = call_of(*slot, "forward");
  const std::uint64_t first = BackwardWatch::next_node();
  const QuantizedInput quantized = call_plugin(call, [&] { return slot->input->forward(now, x); });
  require_shape(call, quantized.value, x);
  backward_watch_->watch(quantized.value, first, *slot);
  backward_watch_->watch(quantized.output_scale, first, *slot);
  at::Tensor value = quantized.value.to(run.compute);
  if (slot->elision) {
    for (const ElidedDropout& drop : slot->elision->dropouts) {
      value = value * dropout(value, graph_.node(drop.node).name, drop.probability, run.position);
    }
  }
  if (quantized.output_scale.defined()) {
    if (output_scale == nullptr) refuse_output_scale(call, node.op);
    *output_scale = quantized.output_scale;
  }
  return value;
}

at::Tensor Model::watch_gradient(const Run& run, const Step& step, const at::Tensor& y) const {
  const auto& planned = step.gradient;
  if (planned == nullptr || !y.requires_grad()) return y;
  if (!is_active(planned->traits, Role::gradient, run.position.epoch)) return y;
  const SlotContext now = context(planned->info, planned->traits, run.mode, run.position, 0);
  y.register_hook([planned, now](const at::Tensor& gradient) {
    const at::NoGradGuard no_grad;
    const NoAutocast guard(gradient.device().type());
    const PluginCall call = call_of(*planned, "backward");
    const at::Tensor result = call_plugin(
        call, [&] { return planned->quantizer->backward(now, gradient.to(at::kFloat)); });
    require_shape(call, result, gradient);
    return result.to(gradient.scalar_type());
  });
  return y;
}

at::Tensor Model::trained_weight(const Run& run, const PlannedSlot& slot, at::Tensor& factor) {
  const at::Tensor& latent = steps_[static_cast<std::size_t>(slot.node)].parameters[0];
  const NoAutocast guard(latent.device().type());
  at::Tensor weight = latent;
  if (slot.folded_batch_norm >= 0 && slot.traits.fold_in_training) {
    const Step& norm = steps_[static_cast<std::size_t>(slot.folded_batch_norm)];
    factor = fold_factor(*norm.node, norm.parameters);
    // A dead channel, whose gamma is 0, stays unfolded: its output is not divided by 0.
    factor = at::where(at::eq(factor, 0), at::ones_like(factor), factor);
    weight = per_filter(factor, weight);
  }
  const PluginCall call = call_of(slot, "forward");
  const SlotContext now = context(slot.info, slot.traits, run.mode, run.position, 0);
  const std::uint64_t first = BackwardWatch::next_node();
  const at::Tensor quantized = call_plugin(call, [&] { return slot.weight->forward(now, weight); });
  require_shape(call, quantized, weight);
  backward_watch_->watch(quantized, first, slot);
  return quantized;
}

at::Tensor Model::affine_node(Run& run, const Step& step) {
  const NodeOptions& options = step.node->options;
  at::Tensor output_scale, factor;
  const at::Tensor x = edge(run, step, 0, &output_scale);
  at::Tensor weight = step.parameters[0];
  const at::Tensor bias = step.parameters.size() > 1 ? step.parameters[1] : at::Tensor();
  if (run.mode == Mode::calibrate) return convolve(options, x, weight, bias);
  if (step.weight != nullptr && is_active(*step.weight, run.position.epoch)) {
    weight = trained_weight(run, *step.weight, factor);
  }
  weight = weight.to(run.compute);
  const PlannedSlot* slot = step.inputs[0];
  const double padding_value =
      slot != nullptr && is_active(*slot, run.position.epoch) ? slot->padding_value : 0;
  if (!factor.defined() && !output_scale.defined()) {
    const at::Tensor b = bias.defined() ? bias.to(run.compute) : bias;
    return watch_gradient(run, step, convolve(options, x, weight, b, padding_value));
  }
  const Op op = step.node->op;
  at::Tensor y = convolve(options, x, weight, {}, padding_value);
  if (factor.defined()) y = y / over_channels(factor, op).to(run.compute);
  if (output_scale.defined()) {
    // In float32: LibTorch's bf16 product with one factor for all channels of a position takes
    // ten times as long where there are fewer than 32 channels.
    y = (y.to(at::kFloat) * output_scale).to(run.compute);
  }
  if (bias.defined()) y = y + over_channels(bias, op).to(run.compute);
  return watch_gradient(run, step, y);
}

at::Tensor Model::batch_norm_node(Run& run, const Step& step) {
  const auto& options = step.node->as<BatchNormOptions>();
  const at::Tensor x = edge(run, step, 0);
  if (run.mode == Mode::train || !run.batch_statistics) {
    return normalize(options, x, step.parameters, run.mode == Mode::train, options.momentum);
  }
  // Without running statistics batch_norm takes the batch's and moves nothing.
  std::vector<at::Tensor> parameters = step.parameters;
  for (std::size_t i = options.affine ? 2 : 0; i < parameters.size(); ++i) {
    parameters[i] = at::Tensor();
  }
  return normalize(options, x, parameters, true, options.momentum);
}

at::Tensor Model::custom_node(const Step& step, const std::vector<at::Tensor>& inputs,
                              bool training, const RunPosition& position) const {
  const auto& base = step.node->as<std::shared_ptr<const CustomOpBase>>();
  const auto* op = dynamic_cast<const CustomOp*>(base.get());
  if (op == nullptr) {
    throw Error(ErrorKind::internal,
                step.node->name + ": the custom node of type `" + base->type() + "` has no forward",
                "derive it from qhost::CustomOp (qhost/custom.h)");
  }
  const PluginCall call = {.plugin = "",
                           .kind = "custom node",
                           .component = step.node->name,
                           .function = "forward",
                           .slot = nullptr};
  return call_plugin(call, [&] {
    return op->forward(
        {.node = step.node, .training = training, .seed = position.seed, .step = position.step},
        inputs, step.parameters);
  });
}

at::Tensor Model::output_of(Run& run, const Step& step, const at::Tensor& input) {
  const Node& node = *step.node;
  const bool training = run.mode == Mode::train;
  const auto in = [&](std::size_t e) { return edge(run, step, e); };
  const auto all = [&] {
    std::vector<at::Tensor> inputs;
    for (std::size_t e = 0; e < node.inputs.size(); ++e) inputs.push_back(in(e));
    return inputs;
  };
  switch (node.op) {
    case Op::input:
      return input.to(run.compute);
    case Op::conv2d:
    case Op::linear:
      return affine_node(run, step);
    case Op::batch_norm:
      return batch_norm_node(run, step);
    case Op::activation:
    case Op::add:
    case Op::concat:
    case Op::max_pool:
    case Op::average_pool:
    case Op::global_average_pool:
    case Op::subsample:
    case Op::flatten:
      return plain_output(node.op, node.options, all(), step.overwrites_input);
    case Op::dropout: {
      const at::Tensor x = in(0);
      const double probability = node.as<DropoutOptions>().probability;
      return training && probability > 0 ? x * dropout(x, node.name, probability, run.position) : x;
    }
    case Op::custom: {
      const std::vector<at::Tensor> inputs = all();
      const Autocast guard(input.device().type(), run.compute == at::kBFloat16);
      // A product with a float32 parameter is float32: the next node computes in `compute`.
      return custom_node(step, inputs, training, run.position).to(run.compute);
    }
  }
  throw Error(ErrorKind::internal, node.name + " has an unknown operation");
}

at::Tensor Model::run_network(Run& run, const at::Tensor& input, std::string* non_finite) {
  const bool training = run.mode == Mode::train;
  if (training && options_.precision == Precision::bf16) run.compute = at::kBFloat16;
  run.values.resize(steps_.size());
  const bool all_elide =
      training && std::all_of(plan_.slots.begin(), plan_.slots.end(), [&](const PlannedSlot& slot) {
        return !slot.elision || is_active(slot, run.position.epoch);
      });
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.behind_elision_only && all_elide) continue;
    at::Tensor y = output_of(run, step, input);
    if (non_finite != nullptr && non_finite->empty() && !at::isfinite(y).all().item<bool>()) {
      *non_finite = step.node->name;
    }
    run.values[i] = std::move(y);
    for (const int dead : frees_[i]) run.values[static_cast<std::size_t>(dead)] = at::Tensor();
  }
  return run.values[static_cast<std::size_t>(graph_.output().id)].to(at::kFloat);
}

at::Tensor Model::train(const at::Tensor& x, const RunPosition& position) {
  frozen_.reset();  // the running statistics move, and with them what is folded
  Run run{.mode = Mode::train, .position = position};
  return run_network(run, x, nullptr);
}

void Model::backward(const at::Tensor& loss) {
  backward_watch_->note(nullptr);
  try {
    loss.backward();
  } catch (...) {
    const PlannedSlot* slot = backward_watch_->running();
    if (slot == nullptr) throw;
    rethrow_named(call_of(*slot, "backward"));
  }
}

std::string Model::first_non_finite(const at::Tensor& x, const RunPosition& position, Mode mode) {
  // Copies of the buffers: the batch norms' running statistics move in training mode.
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> before;
  for (const NamedTensor& entry : state_) before.push_back(entry.tensor.clone());
  for (const NamedTensor& entry : state_) {
    if (!at::isfinite(entry.tensor).all().item<bool>()) return entry.name;
  }
  std::string name;
  if (mode == Mode::evaluate) {
    freeze(position);
    frozen_->interpret(x, {.non_finite = &name}, position);
  } else {
    Run run{.mode = mode, .position = position};
    run_network(run, x, &name);
  }
  for (std::size_t i = 0; i < state_.size(); ++i) state_[i].tensor.copy_(before[i]);
  return name;
}

}  // namespace qhost
