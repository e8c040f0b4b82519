// Layers with parameters: conv2d, linear, batch_norm.
#include <cmath>

#include "sdk/builder_state.h"
#include "sdk/describe.h"

namespace qhost {
namespace {

// torch_default initializes the bias from the weight's fan-in, like the weight; with any other
// initialization the bias starts at 0.
ParameterSpec bias_of(std::int64_t outputs, Initialization weight_init) {
  const bool drawn = weight_init == Initialization::torch_default;
  return {.name = "bias",
          .shape = {outputs},
          .init = drawn ? weight_init : Initialization::zeros,
          .trainable = true,
          .decayed = false};
}

ParameterSpec weight_of(std::vector<std::int64_t> shape, Initialization init) {
  return {.name = "weight", .shape = std::move(shape), .init = init};
}

ParameterSpec per_channel(const char* name, std::int64_t channels, Initialization init,
                          bool trainable) {
  return {
      .name = name, .shape = {channels}, .init = init, .trainable = trainable, .decayed = false};
}

}  // namespace

Value GraphBuilder::conv2d(std::string_view name, Value x, const Conv2dOptions& options,
                           Where where) {
  Implementation::Draft draft(*implementation_, Op::conv2d, name, {{"x", x}}, where);
  draft.node.options = options;
  draft.require_image("features have no height and width: use linear");
  draft.require_between("out_channels", options.out_channels, 1);
  draft.require_between("kernel", options.kernel, 1);
  draft.require_between("stride", options.stride, 1);
  draft.require_between("padding", options.padding, 0);
  draft.require_between("groups", options.groups, 1);

  const std::int64_t in_channels = draft.input().channels();
  const std::string groups = std::to_string(options.groups);
  const std::string help = "choose groups that divide " + std::to_string(in_channels) + " and " +
                           std::to_string(options.out_channels);
  draft.require(
      in_channels % options.groups == 0,
      std::to_string(in_channels) + " input channels are not divisible by groups " + groups, help);
  draft.require(options.out_channels % options.groups == 0,
                std::to_string(options.out_channels) +
                    " output channels are not divisible by groups " + groups,
                help);
  draft.require(window_fits(draft.input(), options.kernel, options.padding),
                window_misfit(draft.input(), options.kernel, options.padding),
                "use a smaller kernel, more padding, a larger input, or fewer strides before it");

  const Size2 size = window_output(draft.input(), options.kernel, options.stride, options.padding);
  draft.node.shape = {{options.out_channels, size.height, size.width}};
  draft.node.parameters = {weight_of({options.out_channels, in_channels / options.groups,
                                      options.kernel.height, options.kernel.width},
                                     options.init)};
  if (options.bias) draft.node.parameters.push_back(bias_of(options.out_channels, options.init));
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::linear(std::string_view name, Value x, const LinearOptions& options,
                           Where where) {
  Implementation::Draft draft(*implementation_, Op::linear, name, {{"x", x}}, where);
  draft.node.options = options;
  draft.require(draft.input().is_features(),
                "needs features {F}, but x is the image " + to_string(draft.input()),
                "put flatten or global_average_pool before it");
  draft.require_between("out_features", options.out_features, 1);
  draft.node.shape = {{options.out_features}};
  draft.node.parameters = {
      weight_of({options.out_features, draft.input().channels()}, options.init)};
  if (options.bias) draft.node.parameters.push_back(bias_of(options.out_features, options.init));
  return implementation_->commit(std::move(draft));
}

void GraphBuilder::override_batch_norm_epsilon(double epsilon) {
  implementation_->batch_norm_epsilon = epsilon;
}

Value GraphBuilder::batch_norm(std::string_view name, Value x, const BatchNormOptions& options,
                               Where where) {
  Implementation::Draft draft(*implementation_, Op::batch_norm, name, {{"x", x}}, where);
  BatchNormOptions chosen = options;
  if (implementation_->batch_norm_epsilon) chosen.epsilon = *implementation_->batch_norm_epsilon;
  draft.node.options = chosen;
  draft.require(std::isfinite(options.epsilon) && options.epsilon > 0,
                "epsilon is " + number_text(options.epsilon) + ", not a positive number",
                "set epsilon to 1e-5, say");
  draft.require(options.momentum > 0 && options.momentum <= 1,
                "momentum is " + number_text(options.momentum) + ", not in (0, 1]",
                "momentum is the weight of the new batch: 0.1, say");
  draft.require(
      options.gamma_init == Initialization::ones || options.gamma_init == Initialization::zeros,
      std::string("gamma_init is ") + to_string(options.gamma_init) + ", which is for weights",
      "start gamma from ones or zeros");
  const std::int64_t channels = draft.input().channels();
  draft.node.shape = draft.input();
  if (options.affine) {
    draft.node.parameters.push_back(per_channel("weight", channels, options.gamma_init, true));
    draft.node.parameters.push_back(per_channel("bias", channels, Initialization::zeros, true));
  }
  draft.node.parameters.push_back(
      per_channel("running_mean", channels, Initialization::zeros, false));
  draft.node.parameters.push_back(
      per_channel("running_var", channels, Initialization::ones, false));
  return implementation_->commit(std::move(draft));
}

}  // namespace qhost
