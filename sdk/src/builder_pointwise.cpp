// Operations on one input without parameters: activations, dropout, pooling, reshaping.
#include <cmath>

#include "sdk/builder_state.h"
#include "sdk/describe.h"

namespace qhost {

Value GraphBuilder::activation(std::string_view name, Value x, const ActivationOptions& options,
                               Where where) {
  Implementation::Draft draft(*implementation_, Op::activation, name, {{"x", x}}, where,
                              to_string(options.kind));
  draft.node.options = options;
  draft.require(options.kind != Activation::leaky_relu || std::isfinite(options.slope),
                "slope is " + number_text(options.slope) + ", not a finite number",
                "set slope to 0.01, say");
  draft.node.shape = draft.input();
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::relu(std::string_view name, Value x, Where where) {
  return activation(name, x, {.kind = Activation::relu}, where);
}

Value GraphBuilder::dropout(std::string_view name, Value x, const DropoutOptions& options,
                            Where where) {
  Implementation::Draft draft(*implementation_, Op::dropout, name, {{"x", x}}, where);
  draft.node.options = options;
  draft.require(options.probability >= 0 && options.probability < 1,
                "probability is " + number_text(options.probability) + ", not in [0, 1)",
                "probability is the share that is set to zero: 0.3, say");
  draft.node.shape = draft.input();
  return implementation_->commit(std::move(draft));
}

namespace {

// Max and average pooling share checks and shape inference. (A template: the draft's type is
// private.)
template <class Draft>
void infer_pool(Draft& draft, const PoolOptions& options) {
  draft.node.options = options;
  draft.require_image("features have no height and width to pool over");
  draft.require_between("kernel", options.kernel, 1);
  draft.require_between("stride", options.stride, 1);
  draft.require_between("padding", options.padding, 0);
  // With more padding, a window could lie entirely in the padding.
  draft.require(options.padding.height <= options.kernel.height / 2 &&
                    options.padding.width <= options.kernel.width / 2,
                "the padding " + to_string(options.padding) + " is more than half the kernel " +
                    to_string(options.kernel),
                "use less padding or a larger kernel");
  draft.require(window_fits(draft.input(), options.kernel, options.padding),
                window_misfit(draft.input(), options.kernel, options.padding),
                "use a smaller kernel, a larger input, or fewer strides before it");
  const Size2 size = window_output(draft.input(), options.kernel, options.stride, options.padding);
  draft.node.shape = {{draft.input().channels(), size.height, size.width}};
}

}  // namespace

Value GraphBuilder::max_pool(std::string_view name, Value x, const PoolOptions& options,
                             Where where) {
  Implementation::Draft draft(*implementation_, Op::max_pool, name, {{"x", x}}, where);
  infer_pool(draft, options);
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::average_pool(std::string_view name, Value x, const PoolOptions& options,
                                 Where where) {
  Implementation::Draft draft(*implementation_, Op::average_pool, name, {{"x", x}}, where);
  infer_pool(draft, options);
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::global_average_pool(std::string_view name, Value x, Where where) {
  Implementation::Draft draft(*implementation_, Op::global_average_pool, name, {{"x", x}}, where);
  draft.require_image("features have no height and width to pool over");
  draft.node.shape = {{draft.input().channels()}};
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::subsample(std::string_view name, Value x, const SubsampleOptions& options,
                              Where where) {
  Implementation::Draft draft(*implementation_, Op::subsample, name, {{"x", x}}, where);
  draft.node.options = options;
  draft.require_image("features have no height and width to subsample");
  draft.require_between("out_channels", options.out_channels, 1);
  draft.require_between("stride", options.stride, 1);
  const Shape& in = draft.input();
  draft.require(options.out_channels >= in.channels(),
                "out_channels " + std::to_string(options.out_channels) + " is below the " +
                    std::to_string(in.channels()) + " channels of x",
                "subsample adds channels of zeros and cannot drop any: use a 1x1 convolution");
  draft.node.shape = {{options.out_channels, (in.height() - 1) / options.stride.height + 1,
                       (in.width() - 1) / options.stride.width + 1}};
  return implementation_->commit(std::move(draft));
}

Value GraphBuilder::flatten(std::string_view name, Value x, Where where) {
  Implementation::Draft draft(*implementation_, Op::flatten, name, {{"x", x}}, where);
  draft.require_image("features are flat already: leave this flatten out");
  draft.node.shape = {{draft.input().elements()}};
  return implementation_->commit(std::move(draft));
}

}  // namespace qhost
