/// Small networks, small methods and exact comparisons for the tests of model/.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/model.h"
#include "model/plan.h"
#include "qhost/error.h"
#include "qhost/graph.h"
#include "qhost/quantizer.h"

namespace qhost::test {

/// A network without branches: body(builder, input) returns the output.
inline Graph network(const std::vector<std::int64_t>& input, std::int64_t classes,
                     const std::function<Value(GraphBuilder&, Value)>& body) {
  GraphBuilder g;
  const Value x = g.input(Shape{input});
  return g.finish(body(g, x), classes);
}

/// Numbers of the standard normal distribution, the same for every layout.
inline at::Tensor normal(const std::vector<std::int64_t>& shape, std::uint64_t key) {
  at::Tensor values = at::empty(shape, at::kFloat);
  Random(key).fill_normal(values.mutable_data_ptr<float>(),
                          static_cast<std::size_t>(values.numel()));
  return values;
}

inline at::Tensor in_layout(const at::Tensor& x, bool channels_last) {
  return x.dim() == 4 && channels_last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
}

/// Equal type, shape and bits.
inline ::testing::AssertionResult same_bits(const at::Tensor& got, const at::Tensor& wanted) {
  if (!got.defined() || !wanted.defined()) {
    return ::testing::AssertionFailure() << "an undefined tensor";
  }
  if (got.scalar_type() != wanted.scalar_type() || got.sizes() != wanted.sizes()) {
    return ::testing::AssertionFailure() << got.scalar_type() << " " << got.sizes() << " against "
                                         << wanted.scalar_type() << " " << wanted.sizes();
  }
  if (at::equal(got, wanted)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << at::ne(got, wanted).sum().item<std::int64_t>() << " of " << got.numel()
         << " elements differ, at most by " << at::sub(got, wanted).abs().max().item<double>();
}

/// |got - wanted| <= tolerance * max(1, |wanted|), everywhere.
inline ::testing::AssertionResult close(const at::Tensor& got, const at::Tensor& wanted,
                                        double tolerance) {
  if (got.sizes() != wanted.sizes()) {
    return ::testing::AssertionFailure() << got.sizes() << " against " << wanted.sizes();
  }
  const double worst =
      at::sub(got, wanted).abs().div(wanted.abs().clamp_min(1)).max().item<double>();
  if (worst <= tolerance) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "they differ by " << worst;
}

inline at::Tensor tensor_of(const Model& model, const std::string& name) {
  for (const NamedTensor& entry : model.state()) {
    if (entry.name == name) return entry.tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

inline std::map<std::string, at::Tensor> copy_of_state(const Model& model) {
  std::map<std::string, at::Tensor> copy;
  for (const NamedTensor& entry : model.state()) copy[entry.name] = entry.tensor.detach().clone();
  return copy;
}

/// Overwrites a tensor of the model through load(), as loading a checkpoint does.
inline void set(Model& model, const std::string& name, const at::Tensor& value) {
  auto state = copy_of_state(model);
  state.at(name) = value;
  model.load(state);
}

/// The message of the qhost::Error of that kind that the call throws; "" with a test failure
/// otherwise.
template <class Call>
std::string error_of(ErrorKind kind, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// The value in the forward pass, the identity's gradient backward where `mask` is 1.
class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& /*x*/,
                            const at::Tensor& value, const at::Tensor& mask) {
    context->save_for_backward({mask});
    return value.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0] * context->get_saved_variables()[0], at::Tensor(), at::Tensor()};
  }
};

inline at::Tensor straight_through(const at::Tensor& x, const at::Tensor& value) {
  return StraightThrough::apply(x, value, at::ones_like(value));
}

/// +-1 with the gradient cut where |x| > 1.
inline at::Tensor sign_straight_through(const at::Tensor& x) {
  const at::Tensor plain = x.detach();
  return StraightThrough::apply(x, at::ge(plain, 0).to(at::kFloat).mul(2).sub(1),
                                at::le(plain.abs(), 1).to(at::kFloat));
}

/// Keeps the latent weight unchanged.
class IdentityWeight : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::float32(); }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override { return latent; }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    return {.encoding = Encoding::float32(), .codes = latent.detach()};
  }
};

/// sign(w) * mean |w|, per filter or with scale 1.
class BinaryWeight : public WeightQuantizer {
 public:
  explicit BinaryWeight(ScaleKind scale = ScaleKind::channel) : scale_(scale) {}
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(scale_); }
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return straight_through(latent, decode(encode(context, latent.detach())));
  }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    Encoded encoded{.encoding = Encoding::binary(scale_), .codes = at::ge(latent, 0).to(at::kByte)};
    if (scale_ == ScaleKind::channel) encoded.scale = latent.flatten(1).abs().mean(1);
    return encoded;
  }

 private:
  ScaleKind scale_;
};

/// sign(x), with an optional output scale: the mean of |x| over the channels, box-filtered with the
/// convolution's kernel.
class SignInput : public InputQuantizer {
 public:
  SignInput(const SlotInfo& slot, InputRange range, bool output_scale)
      : slot_(slot), range_(range), output_scale_(output_scale) {}
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::binary(output_scale_ ? ScaleKind::position : ScaleKind::none);
  }
  InputRange range() const override { return range_; }
  QuantizedInput forward(const SlotContext&, const at::Tensor& x) override {
    return {.value = sign_straight_through(x), .output_scale = scale(x.detach())};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return {.codes = {.encoding = encoding(*context.slot), .codes = at::ge(x, 0).to(at::kByte)},
            .output_scale = scale(x)};
  }
  static at::Tensor box_mean(const at::Tensor& x, const SlotInfo& slot) {
    const at::Tensor kernel =
        at::full({1, 1, slot.kernel.height, slot.kernel.width},
                 1.0 / static_cast<double>(slot.kernel.height * slot.kernel.width));
    return at::conv2d(x.abs().mean(1, true), kernel, {}, {slot.stride.height, slot.stride.width},
                      {slot.padding.height, slot.padding.width});
  }

 private:
  at::Tensor scale(const at::Tensor& x) const {
    return output_scale_ ? box_mean(x, slot_) : at::Tensor();
  }
  SlotInfo slot_;
  InputRange range_;
  bool output_scale_;
};

/// round(x / scale) + z/2 in 0..255, z the zero point in half steps.
class UniformInput : public InputQuantizer {
 public:
  UniformInput(float scale, int zero_point) : scale_(scale), zero_point_(zero_point) {}
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::uniform(8, ScaleKind::tensor, ZeroPointKind::tensor);
  }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = straight_through(x, decode(encode(context, x.detach()).codes, 1))};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    const at::Tensor codes = x.div(scale_).add(zero_point_ * 0.5).round().clamp(0, 255);
    return {.codes = {.encoding = encoding(*context.slot),
                      .codes = codes.to(at::kByte),
                      .scale = at::scalar_tensor(scale_),
                      .zero_point = at::scalar_tensor(zero_point_, at::kInt)}};
  }

 private:
  float scale_;
  int zero_point_;
};

/// A method from two functions.
class Method : public Quantizer {
 public:
  std::function<std::unique_ptr<WeightQuantizer>(const SlotInfo&)> make_weight;
  std::function<std::unique_ptr<InputQuantizer>(const SlotInfo&)> make_input;
  Traits own_traits;

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override {
    return make_weight ? make_weight(slot) : nullptr;
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    return make_input ? make_input(slot) : nullptr;
  }
  Traits traits() const override { return own_traits; }
};

/// A rule for weights only: every slot gets a new W(arguments...).
template <class W, class... Arguments>
MethodRule weight_rule(const std::string& name, Traits traits, Arguments... arguments) {
  auto method = std::make_shared<Method>();
  method->make_weight = [=](const SlotInfo&) { return std::make_unique<W>(arguments...); };
  method->own_traits = std::move(traits);
  MethodRule rule;  // g++ 12 crashes on a braced return value here
  rule.method = name;
  rule.quantizer = method;
  rule.offers = {Role::weight};
  return rule;
}

/// A rule for inputs only.
inline MethodRule input_rule(const std::string& name, std::vector<std::string> layers,
                             std::function<std::unique_ptr<InputQuantizer>(const SlotInfo&)> make,
                             Traits traits = {}) {
  auto method = std::make_shared<Method>();
  method->make_input = std::move(make);
  method->own_traits = std::move(traits);
  return {
      .method = name, .quantizer = method, .offers = {Role::input}, .layers = std::move(layers)};
}

inline std::unique_ptr<Model> make_model(const Graph& graph, const std::vector<MethodRule>& rules,
                                         const ModelOptions& options = {}) {
  auto model = std::make_unique<Model>(graph, make_plan(graph, rules), options);
  model->initialize({.seed = 3});
  return model;
}

}  // namespace qhost::test
