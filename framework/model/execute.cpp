/// Running the graph, node by node.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "model/backward_watch.h"
#include "model/check_encoded.h"
#include "model/model.h"
#include "model/plugin_call.h"
#include "model/slot_math.h"
#include "model/steps.h"
#include "qhost/custom.h"
#include "qhost/error.h"
#include "qhost/parallel.h"

namespace qhost {
namespace {

/// Slots compute in float32 whatever surrounds them.
class NoAutocast {
 public:
  explicit NoAutocast(c10::DeviceType device)
      : device_(device), was_(at::autocast::is_autocast_enabled(device)) {
    if (was_) at::autocast::set_autocast_enabled(device_, false);
  }
  ~NoAutocast() {
    if (was_) at::autocast::set_autocast_enabled(device_, true);
  }
  NoAutocast(const NoAutocast&) = delete;
  NoAutocast& operator=(const NoAutocast&) = delete;

 private:
  c10::DeviceType device_;
  bool was_;
};

/// A custom node's author writes in float32 terms; in a bf16 run autocast chooses the operations.
class Autocast {
 public:
  Autocast(c10::DeviceType device, bool enabled)
      : device_(device), enabled_(enabled), was_(at::autocast::is_autocast_enabled(device)) {
    if (!enabled_) return;
    at::autocast::increment_nesting();
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    at::autocast::set_autocast_enabled(device_, true);
  }
  ~Autocast() {
    if (!enabled_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, was_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool enabled_, was_;
};

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

at::Tensor convolve(const Node& node, const at::Tensor& x, const at::Tensor& weight,
                    const at::Tensor& bias) {
  if (node.op == Op::linear) return at::linear(x, weight, bias);
  const auto& options = node.as<Conv2dOptions>();
  return at::conv2d(x, weight, bias, pair(options.stride), pair(options.padding), {1, 1},
                    options.groups);
}

at::Tensor pool(const Node& node, const at::Tensor& x) {
  const auto& options = node.as<PoolOptions>();
  if (node.op == Op::max_pool) {
    return at::max_pool2d(x, pair(options.kernel), pair(options.stride), pair(options.padding));
  }
  return at::avg_pool2d(x, pair(options.kernel), pair(options.stride), pair(options.padding),
                        /*ceil_mode=*/false, /*count_include_pad=*/false);
}

at::Tensor subsample(const Node& node, const at::Tensor& x) {
  const auto& options = node.as<SubsampleOptions>();
  const at::Tensor kept =
      x.slice(2, 0, x.size(2), options.stride.height).slice(3, 0, x.size(3), options.stride.width);
  const std::int64_t missing = options.out_channels - x.size(1);
  if (missing == 0) return kept.contiguous(x.suggest_memory_format());
  // F.pad counts from the last dimension: width, height, channels.
  return at::constant_pad_nd(kept, {0, 0, 0, 0, missing / 2, missing - missing / 2}, 0)
      .contiguous(x.suggest_memory_format());
}

at::Tensor activate(const Node& node, at::Tensor& x, bool in_place) {
  const auto& options = node.as<ActivationOptions>();
  switch (options.kind) {
    case Activation::relu:
      return in_place ? at::relu_(x) : at::relu(x);
    case Activation::relu6:
      return at::relu6(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x, options.slope);
    case Activation::hardtanh:
      return at::hardtanh(x, -1, 1);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::gelu:
      return at::gelu(x);
  }
  throw Error(ErrorKind::internal, node.name + ": unknown activation");
}

}  // namespace

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

EncodedInput Model::encoded_input(const PlannedSlot& slot, const SlotContext& now,
                                  const at::Tensor& x) const {
  const PluginCall call = call_of(slot, "encode");
  EncodedInput encoded = call_plugin(call, [&] { return slot.input->encode(now, x); });
  const Encoding announced =
      call_plugin(call_of(slot, "encoding"), [&] { return slot.input->encoding(slot.info); });
  // Reading each code costs a pass over memory: once for each set of weights.
  const bool read = frozen_ == nullptr || !frozen_->inputs_checked;
  std::string why = broken_promise(announced, encoded.codes, x.sizes(), 1,
                                   read ? EncodedCheck::form_and_values : EncodedCheck::form);
  if (why.empty()) {
    why = broken_output_scale(announced, encoded.output_scale, x.size(0),
                              graph_.node(slot.node).shape);
  }
  if (!why.empty()) broke_word(call, why);
  return encoded;
}

at::Tensor Model::edge(Run& run, Step& step, std::size_t index, at::Tensor& output_scale,
                       at::Tensor& input_scale) {
  const Node& node = *step.node;
  const PlannedSlot* slot = step.inputs[index];
  at::Tensor& direct = run.values[static_cast<std::size_t>(node.inputs[index])];
  if (slot == nullptr) return direct;
  const bool calibrating = run.mode == Mode::calibrate;
  if (!calibrating && !is_active(*slot, run.position.epoch)) return direct;

  at::Tensor x = direct;
  if (slot->elision) {
    x = run.values[static_cast<std::size_t>(slot->elision->source)];
    for (const int id : slot->elision->through) {
      const Node& between = graph_.node(id);
      x = between.op == Op::flatten ? x.flatten(1) : pool(between, x);
    }
  }
  const NoAutocast guard(x.device().type());
  const SlotContext now = context(slot->info, slot->traits, run.mode, run.position, run.member);
  x = x.to(at::kFloat);
  if (calibrating) {
    call_plugin(call_of(*slot, "observe"), [&] { slot->input->observe(now, x); });
    return direct;
  }
  const bool affine = node.op == Op::conv2d || node.op == Op::linear;
  at::Tensor value, position_scale;
  if (run.mode == Mode::train) {
    const PluginCall call = call_of(*slot, "forward");
    const std::uint64_t first = BackwardWatch::next_node();
    QuantizedInput quantized = call_plugin(call, [&] { return slot->input->forward(now, x); });
    require_shape(call, quantized.value, x);
    backward_watch_->watch(quantized.value, first, *slot);
    backward_watch_->watch(quantized.output_scale, first, *slot);
    value = quantized.value.to(run.compute);
    position_scale = quantized.output_scale;
    if (slot->elision) {
      for (const ElidedDropout& drop : slot->elision->dropouts) {
        value = value * dropout(value, graph_.node(drop.node).name, drop.probability, run.position);
      }
    }
  } else {
    const EncodedInput encoded = encoded_input(*slot, now, x);
    record(slot_prefix(slot->info), encoded.codes);
    // A factor common to all inputs of an output leaves the sum; one per input channel cannot.
    const ScaleKind kind = encoded.codes.encoding.scale;
    if (affine && kind != ScaleKind::channel) {
      value = levels(encoded.codes, 1);
      input_scale = encoded.codes.scale;
    } else {
      value = decode(encoded.codes, 1);
    }
    position_scale = encoded.output_scale;
  }
  if (position_scale.defined() && !affine) {
    broke_word(call_of(*slot, run.mode == Mode::train ? "forward" : "encode"),
               std::string("it gives an output scale for the input of ") + to_string(node.op) +
                   ", which has none");
  }
  output_scale = position_scale;
  return value;
}

at::Tensor Model::watch_gradient(const Run& run, const Step& step, const at::Tensor& y) const {
  const auto& planned = step.gradient;
  if (planned == nullptr || !y.requires_grad()) return y;
  if (!is_active(planned->traits, Role::gradient, run.position.epoch)) return y;
  const SlotContext now =
      context(planned->info, planned->traits, run.mode, run.position, run.member);
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

at::Tensor Model::affine_node(Run& run, Step& step) {
  const Node& node = *step.node;
  const bool has_bias = step.parameters.size() > 1;
  at::Tensor output_scale, input_scale;
  const at::Tensor x = edge(run, step, 0, output_scale, input_scale);
  const at::Tensor& latent = step.parameters[0];
  at::Tensor bias = has_bias ? step.parameters[1] : at::Tensor();
  const PlannedSlot* slot = step.weight;
  const bool active =
      slot != nullptr && run.mode != Mode::calibrate && is_active(*slot, run.position.epoch);

  if (run.mode == Mode::train) {
    at::Tensor weight = latent, factor;
    if (active) {
      const NoAutocast guard(x.device().type());
      if (slot->folded_batch_norm >= 0 && slot->traits.fold_in_training) {
        const Step& norm = steps_[static_cast<std::size_t>(slot->folded_batch_norm)];
        factor = fold_factor(*norm.node, norm.parameters);
        // A dead channel, whose gamma is 0, stays unfolded: its output is not divided by 0.
        factor = at::where(at::eq(factor, 0), at::ones_like(factor), factor);
        weight = per_filter(factor, weight);
      }
      const PluginCall call = call_of(*slot, "forward");
      const SlotContext now = context(slot->info, slot->traits, run.mode, run.position, run.member);
      const std::uint64_t first = BackwardWatch::next_node();
      const at::Tensor quantized =
          call_plugin(call, [&] { return slot->weight->forward(now, weight); });
      require_shape(call, quantized, weight);
      backward_watch_->watch(quantized, first, *slot);
      weight = quantized;
    }
    weight = weight.to(run.compute);
    if (!factor.defined() && !output_scale.defined()) {
      return watch_gradient(run, step,
                            convolve(node, x, weight, has_bias ? bias.to(run.compute) : bias));
    }
    at::Tensor y = convolve(node, x, weight, {});
    if (factor.defined()) y = y / over_channels(factor, node.op).to(run.compute);
    if (output_scale.defined()) {
      // In float32: LibTorch's bf16 product with one factor for all channels of a position takes
      // ten times as long where there are fewer than 32 channels.
      y = (y.to(at::kFloat) * output_scale).to(run.compute);
    }
    if (has_bias) y = y + over_channels(bias, node.op).to(run.compute);
    return watch_gradient(run, step, y);
  }

  if (!active && !input_scale.defined() && !output_scale.defined()) {
    return convolve(node, x, latent, bias);
  }
  FrozenWeight frozen{.levels = latent};
  if (active) {
    frozen = frozen_->weights.at(node.id).at(static_cast<std::size_t>(run.member));
    bias = frozen.bias;
  }
  at::Tensor y = convolve(node, x, frozen.levels, {});
  at::Tensor scale = frozen.scale;
  if (input_scale.defined()) {
    scale = scale.defined() ? scale * input_scale.reshape({}) : input_scale.reshape({});
  }
  if (scale.defined()) y.mul_(scale);
  if (output_scale.defined()) y.mul_(output_scale);
  if (bias.defined()) y.add_(over_channels(bias, node.op));
  return y;
}

at::Tensor Model::run(const at::Tensor& input, Mode mode, const RunPosition& position, int member,
                      std::string* non_finite) {
  Run run;
  run.mode = mode;
  run.position = position;
  run.member = member;
  return run_graph(run, input, non_finite);
}

at::Tensor Model::run_graph(Run& run, const at::Tensor& input, std::string* non_finite) {
  const Mode mode = run.mode;
  const RunPosition& position = run.position;
  const bool training = mode == Mode::train;
  if (training && options_.precision == Precision::bf16) run.compute = at::kBFloat16;
  run.values.resize(steps_.size());
  const bool all_elided =
      mode != Mode::calibrate &&
      std::all_of(plan_.slots.begin(), plan_.slots.end(), [&](const PlannedSlot& slot) {
        return !slot.elision || is_active(slot, position.epoch);
      });

  for (std::size_t i = 0; i < steps_.size(); ++i) {
    Step& step = steps_[i];
    const Node& node = *step.node;
    if (step.behind_elision_only && all_elided) continue;
    at::Tensor unused_scale, unused_input_scale;
    const auto in = [&](std::size_t e) {
      at::Tensor value = edge(run, step, e, unused_scale, unused_input_scale);
      return value;
    };
    at::Tensor y;
    switch (node.op) {
      case Op::input:
        y = input.to(run.compute);
        break;
      case Op::conv2d:
      case Op::linear:
        y = affine_node(run, step);
        break;
      case Op::batch_norm: {
        const at::Tensor x = in(0);
        const auto& options = node.as<BatchNormOptions>();
        const bool absorbed =
            !training && step.folded_into >= 0 && mode == Mode::evaluate &&
            is_active(*steps_[static_cast<std::size_t>(step.folded_into)].weight, position.epoch);
        if (absorbed) {
          y = x;
          break;
        }
        const std::size_t statistics = options.affine ? 2 : 0;
        // Without running statistics batch_norm takes the batch's and moves nothing.
        const bool batch_only = mode == Mode::calibrate && calibrates_on_batch_statistics_;
        const double momentum =
            averaged_passes_ > 0 ? 1.0 / static_cast<double>(averaged_passes_) : options.momentum;
        y = at::batch_norm(x, options.affine ? step.parameters[0] : at::Tensor(),
                           options.affine ? step.parameters[1] : at::Tensor(),
                           batch_only ? at::Tensor() : step.parameters[statistics],
                           batch_only ? at::Tensor() : step.parameters[statistics + 1],
                           training || batch_only || averaged_passes_ > 0, momentum,
                           options.epsilon,
                           /*cudnn_enabled=*/true);
        break;
      }
      case Op::activation: {
        at::Tensor x = in(0);
        y = activate(node, x, step.overwrites_input);
        break;
      }
      case Op::add: {
        at::Tensor a = in(0);
        const at::Tensor b = in(1);
        y = step.overwrites_input ? a.add_(b) : a + b;
        break;
      }
      case Op::concat: {
        std::vector<at::Tensor> parts;
        for (std::size_t e = 0; e < node.inputs.size(); ++e) parts.push_back(in(e));
        y = at::cat(parts, 1);
        break;
      }
      case Op::max_pool:
      case Op::average_pool:
        y = pool(node, in(0));
        break;
      case Op::global_average_pool:
        y = at::adaptive_avg_pool2d(in(0), {1, 1}).flatten(1);
        break;
      case Op::dropout: {
        const at::Tensor x = in(0);
        const double probability = node.as<DropoutOptions>().probability;
        y = training && probability > 0 ? x * dropout(x, node.name, probability, position) : x;
        break;
      }
      case Op::subsample:
        y = subsample(node, in(0));
        break;
      case Op::flatten:
        y = in(0).flatten(1);
        break;
      case Op::custom: {
        const auto* op =
            dynamic_cast<const CustomOp*>(node.as<std::shared_ptr<const CustomOpBase>>().get());
        if (op == nullptr) {
          throw Error(ErrorKind::internal,
                      node.name + ": the custom node of type `" +
                          node.as<std::shared_ptr<const CustomOpBase>>()->type() +
                          "` has no forward\nhelp: derive it from "
                          "qhost::CustomOp (qhost/custom.h)");
        }
        std::vector<at::Tensor> parts;
        for (std::size_t e = 0; e < node.inputs.size(); ++e) parts.push_back(in(e));
        const Autocast guard(input.device().type(), run.compute == at::kBFloat16);
        // A product with a float32 parameter is float32: the next node computes in `compute`.
        const PluginCall call = {.plugin = "",
                                 .kind = "custom node",
                                 .component = node.name,
                                 .function = "forward",
                                 .slot = nullptr};
        y = call_plugin(call, [&] {
              return op->forward({.node = &node,
                                  .training = training,
                                  .seed = position.seed,
                                  .step = position.step},
                                 parts, step.parameters);
            }).to(run.compute);
        break;
      }
    }
    if (run.last == &step) return y;
    if (non_finite != nullptr && non_finite->empty() && !at::isfinite(y).all().item<bool>()) {
      *non_finite = node.name;
    }
    run.values[i] = std::move(y);
    for (const int dead : frees_[i]) run.values[static_cast<std::size_t>(dead)] = at::Tensor();
  }
  return run.values[static_cast<std::size_t>(graph_.output().id)].to(at::kFloat);
}

at::Tensor Model::train(const at::Tensor& x, const RunPosition& position) {
  frozen_.reset();  // the running statistics move, and with them what is folded
  return run(x, Mode::train, position, 0, nullptr);
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

at::Tensor Model::evaluate(const at::Tensor& x, const RunPosition& position) {
  const at::NoGradGuard no_grad;
  if (record_codes_) {
    code_use_.clear();
    frozen_.reset();
  }
  freeze(position);
  at::Tensor sum = run(x, Mode::evaluate, position, 0, nullptr);
  record_codes_ = false;
  for (int member = 1; member < plan_.ensemble_size; ++member) {
    sum = sum + run(x, Mode::evaluate, position, member, nullptr);
  }
  frozen_->inputs_checked = true;
  return plan_.ensemble_size > 1 ? sum / plan_.ensemble_size : sum;
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
  if (mode == Mode::evaluate) freeze(position);
  run(x, mode, position, 0, &name);
  for (std::size_t i = 0; i < state_.size(); ++i) state_[i].tensor.copy_(before[i]);
  return name;
}

}  // namespace qhost
