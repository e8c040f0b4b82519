// Compares the host's result for two plugins on one node with a computation by hand from their
// codes.
#include "model/model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "plugins.h"

namespace qhost {
namespace {

using Given = std::map<std::string, OptionValue>;

at::Tensor images(std::uint64_t key) {
  return uniform_like(Random(key), at::empty({4, 3, 6, 6}, at::kFloat)).mul_(2);
}

Graph plain_network() {
  GraphBuilder g;
  Value y = g.input({{3, 6, 6}});
  y = g.conv2d("conv", y,
               {.out_channels = 6,
                .kernel = 3,
                .stride = 2,
                .padding = 1,
                .groups = 3,
                .bias = true,
                .init = Initialization::torch_default});
  y = g.relu("relu", y);
  y = g.linear("classify", g.flatten("flat", y), {.out_features = 4});
  return g.finish(y, 4);
}

Graph folded_network() {
  GraphBuilder g;
  Value y = g.input({{3, 6, 6}});
  y = g.conv2d("conv", y, {.out_channels = 6, .kernel = 3, .padding = 1});
  y = g.relu("relu", g.batch_norm("norm", y));
  y = g.linear("classify", g.global_average_pool("mean", y), {.out_features = 4});
  return g.finish(y, 4);
}

at::Tensor state(const Model& model, const std::string& name) {
  for (const NamedTensor& entry : model.state()) {
    if (entry.name == name) return entry.tensor;
  }
  throw std::runtime_error("no tensor " + name);
}

std::map<std::string, at::Tensor> copy_of_state(const Model& model) {
  std::map<std::string, at::Tensor> copy;
  for (const NamedTensor& entry : model.state()) copy[entry.name] = entry.tensor.detach().clone();
  return copy;
}

/// The codes of the slot of this edge in evaluation.
EncodedInput encode_input(const Model& model, const std::string& node, const at::Tensor& x) {
  const PlannedSlot* slot = model.plan().find(model.graph().find(node)->id, Role::input);
  SlotContext context;
  context.slot = &slot->info;
  context.mode = Mode::evaluate;
  return slot->input->encode(context, x);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

class ContractModel : public testing::Test {
 protected:
  std::unique_ptr<Model> model(Graph graph, const std::vector<MethodRule>& rules) {
    Plan plan = make_plan(graph, rules);
    auto result = std::make_unique<Model>(std::move(graph), std::move(plan), ModelOptions{});
    result->initialize({});
    return result;
  }
  std::unique_ptr<Registry> plugins_ = test::registry();
};

TEST_F(ContractModel, EvaluationIsTheConvolutionOfTheDecodedCodes) {
  for (const bool position : {false, true}) {
    for (const std::string levels : {"uniform", "codebook"}) {
      const auto m =
          model(plain_network(),
                {test::rule(*plugins_, "contract_weight", {{"levels", levels}}),
                 test::rule(*plugins_, "contract_input", {{"position_scale", position}})});
      ASSERT_EQ(m->plan().slots.size(), 4U);
      const at::Tensor x = images(1);
      m->calibrate(x, {});
      const at::NoGradGuard no_grad;
      const auto weights = m->encoded_weights({});

      const auto layer = [&](const std::string& node, const at::Tensor& in) {
        const EncodedInput codes = encode_input(*m, node, in);
        const at::Tensor value = decode(codes.codes, 1), weight = decode(weights.at(node));
        at::Tensor y =
            node == "conv" ? at::conv2d(value, weight, {}, 2, 1, 1, 3) : at::linear(value, weight);
        EXPECT_EQ(codes.output_scale.defined(), position);
        if (position) y = y * codes.output_scale;
        const at::Tensor bias = state(*m, node + ".bias");
        return y + (node == "conv" ? bias.reshape({1, -1, 1, 1}) : bias);
      };
      const at::Tensor by_hand =
          layer("classify", at::relu(layer("conv", x)).contiguous().flatten(1));
      EXPECT_LT(largest_difference(m->evaluate(x, {}), by_hand), 1e-5) << levels << position;
      // Without random draws, training computes the same function.
      EXPECT_LT(largest_difference(m->train(x, {}), by_hand), 1e-5) << levels << position;
    }
  }
}

TEST_F(ContractModel, FoldedWeightIsQuantizedAndTheNormBecomesABias) {
  const auto m =
      model(folded_network(),
            {test::rule(*plugins_, "contract_weight", {{"fold_batch_norm", true}}, {"conv"})});
  const at::NoGradGuard no_grad;
  const at::Tensor x = images(2);
  for (int i = 0; i < 3; ++i) m->train(images(static_cast<std::uint64_t>(10 + i)), {});
  state(*m, "norm.weight").mul_(at::linspace(0.5, 2, 6));
  state(*m, "norm.bias").copy_(at::linspace(-1, 1, 6));

  const auto channel = [](const at::Tensor& v) { return v.reshape({1, -1, 1, 1}); };
  const at::Tensor gamma = state(*m, "norm.weight"), beta = state(*m, "norm.bias");
  const at::Tensor factor = gamma / (state(*m, "norm.running_var") + 1e-5).sqrt();
  const at::Tensor folded = state(*m, "conv.weight") * factor.reshape({-1, 1, 1, 1});

  // The step quantizes the folded weight: levels are odd multiples of half of the step.
  const double step = state(*m, "conv/weight.step").item<double>();
  const at::Tensor quantized = folded.div(step).add(3.5).round().clamp(0, 7).sub(3.5).mul(step);
  const at::Tensor stored = decode(m->encoded_weights({}).at("conv"));
  EXPECT_LT((stored - quantized).abs().max().item<double>(), 1e-6);

  const auto head = [&](const at::Tensor& y) {
    return at::linear(at::relu(y).mean({2, 3}), state(*m, "classify.weight"),
                      state(*m, "classify.bias"));
  };
  const at::Tensor convolved = at::conv2d(x, stored, {}, 1, 1);
  const at::Tensor shift = beta - state(*m, "norm.running_mean") * factor;
  EXPECT_LT(largest_difference(m->evaluate(x, {}), head(convolved + channel(shift))), 1e-5);

  // In training, the result is divided by the factor, and the batch's own statistics normalize.
  const at::Tensor y = convolved / channel(factor);
  const at::Tensor mean = y.mean({0, 2, 3}), variance = y.var({0, 2, 3}, false);
  const at::Tensor normalized =
      (y - channel(mean)) / channel((variance + 1e-5).sqrt()) * channel(gamma) + channel(beta);
  EXPECT_LT(largest_difference(m->train(x, {}), head(normalized)), 1e-5);
}

TEST_F(ContractModel, AFloatPhaseIsTheFloatNetworkToTheBit) {
  const Given phases = {{"float_epochs", std::int64_t{2}}};
  const auto quantized = model(folded_network(), {test::rule(*plugins_, "contract_weight", phases),
                                                  test::rule(*plugins_, "contract_input", phases)});
  const auto plain = model(folded_network(), {});
  std::map<std::string, at::Tensor> tensors = copy_of_state(*plain);
  for (const auto& [name, tensor] : copy_of_state(*quantized)) {
    if (tensors.count(name) != 0) {
      EXPECT_TRUE(at::equal(tensor, tensors.at(name))) << name;
    }
  }
  const at::Tensor x = images(3);
  for (const std::int64_t epoch : {0, 1, 2}) {
    const RunPosition at{.epoch = epoch, .epochs = 3};
    // No step in between: the values that evaluation caches in a phase must not outlive it.
    const at::Tensor trained = quantized->train(x, at), reference = plain->train(x, at);
    EXPECT_EQ(at::equal(trained, reference), epoch < 2) << epoch;
    EXPECT_EQ(at::equal(quantized->evaluate(x, at), plain->evaluate(x, at)), epoch < 2) << epoch;
  }
}

TEST_F(ContractModel, CalibrationShowsTheFloatValuesOfEachEdge) {
  const auto m = model(plain_network(), {test::rule(*plugins_, "contract_input", {})});
  const at::Tensor first = images(4), second = images(5);
  m->calibrate(first, {.step = 0});
  m->calibrate(second, {.step = 1});
  const at::NoGradGuard no_grad;
  EXPECT_EQ(state(*m, "conv/input.batches").item<float>(), 2.0F);
  EXPECT_NEAR(state(*m, "conv/input.magnitude").item<double>(),
              (first.mean() + second.mean()).item<double>() / 2, 1e-5);
  const auto hidden = [&](const at::Tensor& x) {
    return at::relu(at::conv2d(x, state(*m, "conv.weight"), state(*m, "conv.bias"), 2, 1, 1, 3))
        .mean()
        .item<double>();
  };
  EXPECT_NEAR(state(*m, "classify/input.magnitude").item<double>(),
              (hidden(first) + hidden(second)) / 2, 1e-5);
}

TEST_F(ContractModel, SlotTensorsReachTheOptimizerWithTheirOwnTreatment) {
  const auto m = model(plain_network(),
                       {test::rule(*plugins_, "contract_weight",
                                   {{"step_learning_rate", 0.25}, {"step_weight_decay", 0.5}}),
                        test::rule(*plugins_, "contract_input", {}),
                        test::rule(*plugins_, "contract_weight",
                                   {{"levels", std::string("codebook")}}, {"classify"})});
  const auto entry = [&](const std::string& name) {
    for (const NamedTensor& e : m->state()) {
      if (e.name == name) return e;
    }
    throw std::runtime_error("no tensor " + name);
  };
  EXPECT_TRUE(entry("conv/weight.step").trainable);
  EXPECT_EQ(entry("conv/weight.step").learning_rate_multiplier, 0.25);
  EXPECT_EQ(entry("conv/weight.step").weight_decay, 0.5);
  EXPECT_FALSE(entry("conv/input.magnitude").trainable);
  EXPECT_EQ(entry("conv.weight").weight_decay, std::nullopt);
  // The last rule wins; a codebook's latent weight is not decayed.
  EXPECT_FALSE(entry("classify/weight.table").trainable);
  EXPECT_EQ(entry("classify.weight").weight_decay, 0.0);

  m->train(images(6), {}).sum().backward();
  for (const char* name : {"conv.weight", "conv/weight.step", "conv/input.step", "classify.weight",
                           "classify/input.step"}) {
    ASSERT_TRUE(state(*m, name).grad().defined()) << name;
    EXPECT_NE(state(*m, name).grad().abs().max().item<float>(), 0.0F) << name;
  }
}

}  // namespace
}  // namespace qhost
