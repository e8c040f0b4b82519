/// Compares Model with the same network written by hand in ATen calls: every operation, forward,
/// backward and running statistics, equal to the bit.
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cmath>

#include "qhost/custom.h"
#include "support.h"

namespace qhost::test {
namespace {

/// y = x * sigmoid(gain), gain per channel.
class Gate : public CustomOp {
 public:
  std::string type() const override { return "gate"; }
  Shape infer(const std::vector<Shape>& inputs) const override { return inputs.at(0); }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const override {
    return {{.name = "gain", .shape = {inputs.at(0).channels()}, .init = Initialization::ones}};
  }
  at::Tensor forward(const CustomContext&, const std::vector<at::Tensor>& inputs,
                     const std::vector<at::Tensor>& parameters) const override {
    return inputs[0] * parameters[0].sigmoid().reshape({1, -1, 1, 1});
  }
};

constexpr double drop = 0.3;

Graph every_operation() {
  return network({8, 12, 12}, 10, [](GraphBuilder& g, Value x) {
    Value stem = g.conv2d(
        "conv1", x, {.out_channels = 16, .kernel = 3, .padding = 1, .groups = 2, .bias = true});
    stem = g.relu("relu1", g.batch_norm("bn1", stem, {.epsilon = 1e-3, .momentum = 0.2}));
    Value y = g.conv2d("conv2", stem,
                       {.out_channels = 24, .kernel = {3, 1}, .stride = 2, .padding = {1, 0}});
    y = g.batch_norm("bn2", y);
    y = g.add("add1", y, g.subsample("short", stem, {.out_channels = 24, .stride = 2}));
    y = g.activation("relu6", y, {.kind = Activation::relu6});
    std::vector<Value> parts;
    for (const Activation kind : {Activation::leaky_relu, Activation::hardtanh, Activation::tanh,
                                  Activation::sigmoid, Activation::silu, Activation::gelu}) {
      parts.push_back(g.activation(to_string(kind), y, {.kind = kind, .slope = 0.125}));
    }
    y = g.conv2d("conv3", g.concat("concat", parts), {.out_channels = 16, .kernel = 1});
    y = g.batch_norm("bn3", y, {.affine = false});
    const PoolOptions pool = {.kernel = 3, .stride = 2, .padding = 1};
    y = g.add("add2", g.max_pool("max", y, pool), g.average_pool("mean", y, pool));
    y = g.dropout("drop", y, {.probability = drop});
    y = g.custom("gate", {y}, std::make_shared<Gate>());
    const Value wide = g.linear("fc1", g.flatten("flat", y), {.out_features = 10, .bias = false});
    const Value narrow = g.linear("fc2", g.global_average_pool("pool", y), {.out_features = 10});
    return g.add("add3", wide, narrow);
  });
}

/// The leaf tensors of a model by name, with gradients of their own.
std::map<std::string, at::Tensor> leaves(const Model& model) {
  std::map<std::string, at::Tensor> copy = copy_of_state(model);
  for (const NamedTensor& entry : model.state()) {
    copy[entry.name].set_requires_grad(entry.trainable);
  }
  return copy;
}

/// The mask of the dropout `node`: uniform numbers in blocks of 2^14 in memory order.
at::Tensor kept(const at::Tensor& x, const std::string& node, double probability,
                const RunPosition& position) {
  const std::uint64_t key =
      Random::keyed(position.seed, node, "dropout", static_cast<std::uint64_t>(position.step))
          .key();
  at::Tensor mask = at::empty_like(x, x.options().dtype(at::kFloat));
  float* data = mask.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < mask.numel(); i += 1 << 14) {
    Random::keyed(key, "", "block", static_cast<std::uint64_t>(i >> 14))
        .fill_uniform(data + i,
                      static_cast<std::size_t>(std::min<std::int64_t>(1 << 14, mask.numel() - i)));
  }
  return mask.ge(probability).to(at::kFloat).mul(1 / (1 - probability)).to(x.scalar_type());
}

at::Tensor by_hand(const at::Tensor& images, std::map<std::string, at::Tensor>& p, bool training,
                   at::ScalarType type, const RunPosition& position) {
  const auto in = [&](const std::string& name) { return p.at(name).to(type); };
  const auto norm = [&](const at::Tensor& x, const std::string& name, bool affine, double momentum,
                        double epsilon) {
    return at::batch_norm(x, affine ? p.at(name + ".weight") : at::Tensor(),
                          affine ? p.at(name + ".bias") : at::Tensor(),
                          p.at(name + ".running_mean"), p.at(name + ".running_var"), training,
                          momentum, epsilon, true);
  };
  at::Tensor x = images.to(type);
  const at::Tensor stem =
      at::relu(norm(at::conv2d(x, in("conv1.weight"), in("conv1.bias"), {1, 1}, {1, 1}, {1, 1}, 2),
                    "bn1", true, 0.2, 1e-3));
  at::Tensor y =
      norm(at::conv2d(stem, in("conv2.weight"), {}, {2, 2}, {1, 0}), "bn2", true, 0.1, 1e-5);
  const at::Tensor around =
      at::constant_pad_nd(stem.slice(2, 0, 12, 2).slice(3, 0, 12, 2), {0, 0, 0, 0, 4, 4}, 0)
          .contiguous(stem.suggest_memory_format());
  y = at::relu6(at::add(y, around));
  const std::vector<at::Tensor> parts = {at::leaky_relu(y, 0.125), at::hardtanh(y), at::tanh(y),
                                         at::sigmoid(y),           at::silu(y),     at::gelu(y)};
  y = norm(at::conv2d(at::cat(parts, 1), in("conv3.weight")), "bn3", false, 0.1, 1e-5);
  const at::Tensor highest = at::max_pool2d(y, {3, 3}, {2, 2}, {1, 1});
  y = at::add(highest, at::avg_pool2d(y, {3, 3}, {2, 2}, {1, 1}, false, false));
  if (training) y = y * kept(y, "drop", drop, position);
  y = (y * p.at("gate.gain").sigmoid().reshape({1, -1, 1, 1})).to(type);
  const at::Tensor wide = at::linear(y.flatten(1), in("fc1.weight"));
  const at::Tensor narrow =
      at::linear(at::adaptive_avg_pool2d(y, {1, 1}).flatten(1), in("fc2.weight"), in("fc2.bias"));
  return at::add(wide, narrow).to(at::kFloat);
}

struct Case {
  std::string name;
  bool channels_last;
  Precision precision;
};
class Forward : public ::testing::TestWithParam<Case> {
 protected:
  ModelOptions options() const {
    return {.precision = GetParam().precision, .channels_last = GetParam().channels_last};
  }
  at::ScalarType type() const {
    return GetParam().precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  }
};

TEST_P(Forward, TrainsAsTheSameNetworkWrittenByHand) {
  const auto model = make_model(every_operation(), {}, options());
  auto reference = leaves(*model);
  const RunPosition position{.step = 5, .seed = 3};
  for (std::uint64_t batch = 0; batch < 2; ++batch) {  // the second batch with updated statistics
    const at::Tensor x = in_layout(normal({6, 8, 12, 12}, batch), GetParam().channels_last);
    const at::Tensor weights = normal({6, 10}, 50 + batch);
    const at::Tensor got = model->train(x, position);
    const at::Tensor wanted = by_hand(x, reference, true, type(), position);
    ASSERT_TRUE(same_bits(got, wanted));
    ASSERT_EQ(got.scalar_type(), at::kFloat);
    (got * weights).sum().backward();
    (wanted * weights).sum().backward();
  }
  for (const NamedTensor& entry : model->state()) {
    SCOPED_TRACE(entry.name);
    const at::Tensor& wanted = reference.at(entry.name);
    EXPECT_TRUE(same_bits(entry.tensor.detach(), wanted.detach()));
    if (!entry.trainable) continue;
    ASSERT_TRUE(entry.tensor.grad().defined());
    EXPECT_TRUE(same_bits(entry.tensor.grad(), wanted.grad()));
    EXPECT_GT(wanted.grad().abs().max().item<double>(), 0);
  }
  EXPECT_NE(tensor_of(*model, "bn1.running_mean").abs().max().item<double>(), 0);
}

TEST_P(Forward, EvaluatesInFloatWithTheRunningStatistics) {
  const auto model = make_model(every_operation(), {}, options());
  const RunPosition position{.step = 5, .seed = 3};
  const at::Tensor x = in_layout(normal({6, 8, 12, 12}, 9), GetParam().channels_last);
  model->train(x, position);
  auto reference = copy_of_state(*model);
  const at::Tensor got = model->evaluate(x, position);
  EXPECT_TRUE(same_bits(got, by_hand(x, reference, false, at::kFloat, position)));
  EXPECT_FALSE(got.requires_grad());
  for (const auto& [name, before] : reference) {
    EXPECT_TRUE(same_bits(tensor_of(*model, name).detach(), before)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Forward,
                         ::testing::Values(Case{"fp32_channels_last", true, Precision::fp32},
                                           Case{"fp32_contiguous", false, Precision::fp32},
                                           Case{"bf16_channels_last", true, Precision::bf16},
                                           Case{"bf16_contiguous", false, Precision::bf16}),
                         [](const auto& instance) { return instance.param.name; });

TEST(InPlace, LeavesTheInputAndSharedValuesAlone) {
  // The ReLU must not overwrite the batch norm's output, which the second add reads too, and the
  // add must not overwrite the network's input.
  const Graph graph = network({4, 6, 6}, 4, [](GraphBuilder& g, Value x) {
    const Value norm = g.batch_norm("bn", g.conv2d("conv", x, {.out_channels = 4, .kernel = 1}));
    const Value y = g.add("sum", g.relu("relu", norm), norm);
    return g.global_average_pool("pool", g.add("last", x, y));
  });
  const auto model = make_model(graph, {});
  const at::Tensor x = in_layout(normal({3, 4, 6, 6}, 1), true);
  const at::Tensor before = x.clone();
  const at::Tensor got = model->train(x, {});
  EXPECT_TRUE(same_bits(x, before));
  auto p = copy_of_state(*model);
  const at::Tensor norm =
      at::batch_norm(at::conv2d(x, p["conv.weight"]), p["bn.weight"], p["bn.bias"], at::zeros({4}),
                     at::ones({4}), true, 0.1, 1e-5, true);
  EXPECT_TRUE(
      same_bits(got, at::adaptive_avg_pool2d(x + (at::relu(norm) + norm), {1, 1}).flatten(1)));
}

TEST(Dropout, DropsItsShareAndDependsOnStepAndSeedOnly) {
  const Graph graph = network({4, 64, 64}, 4 * 64 * 64, [](GraphBuilder& g, Value x) {
    return g.flatten("flat", g.dropout("drop", x, {.probability = 0.25}));
  });
  const auto model = make_model(graph, {}, {.channels_last = false});
  const at::Tensor x = at::ones({8, 4, 64, 64});
  const at::Tensor y = model->train(x, {.step = 1, .seed = 2});
  const double share = y.eq(0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.25, 5 * std::sqrt(0.25 * 0.75 / static_cast<double>(y.numel())));
  EXPECT_TRUE(at::logical_or(y.eq(0), y.eq(1.0F / 0.75F)).all().item<bool>());
  EXPECT_TRUE(same_bits(model->train(x, {.step = 1, .seed = 2}), y));
  EXPECT_FALSE(at::equal(model->train(x, {.step = 2, .seed = 2}), y));
  EXPECT_FALSE(at::equal(model->train(x, {.step = 1, .seed = 3}), y));
  const int threads = at::get_num_threads();
  at::set_num_threads(threads == 1 ? 2 : 1);
  EXPECT_TRUE(same_bits(model->train(x, {.step = 1, .seed = 2}), y));
  at::set_num_threads(threads);
  EXPECT_TRUE(same_bits(model->evaluate(x, {.step = 1, .seed = 2}), x.flatten(1)));
}

/// Declares a node without a forward.
class NoForward : public CustomOpBase {
 public:
  std::string type() const override { return "no_forward"; }
  Shape infer(const std::vector<Shape>& inputs) const override { return inputs.at(0); }
};

TEST(Custom, WithoutForwardIsNamed) {
  const Graph graph = network({4}, 4, [](GraphBuilder& g, Value x) {
    return g.custom("odd", {x}, std::make_shared<NoForward>());
  });
  const auto model = make_model(graph, {});
  EXPECT_EQ(error_of(ErrorKind::internal,
                     [&] {
                       model->train(normal({2, 4}, 1), {});
                     }),
            "odd: the custom node of type `no_forward` has no forward\nhelp: derive it from "
            "qhost::CustomOp (qhost/custom.h)");
}

}  // namespace
}  // namespace qhost::test
