// The methods of the plugin ptq in a network: trained parameters, one calibration, evaluation.
#include <ATen/core/grad_mode.h>

#include "model/model.h"

#include <cmath>

#include "plugins/ptq/codebook.h"
#include "plugins/ptq/exponent.h"
#include "plugins/ptq/fixed_point.h"
#include "plugins/ptq/half.h"
#include "plugins/ptq/static.h"
#include "ptq_golden.h"

namespace qhost::ptq {
namespace {

using test::same_bits;
using test::spread;

/// Two convolutions with batch norms, an addition, a pooling.
Graph network() {
  GraphBuilder g;
  Value x = g.input({{3, 8, 8}});
  x = g.conv2d("stem", x, {.out_channels = 8, .kernel = 3, .padding = 1});
  x = g.relu("relu0", g.batch_norm("norm0", x));
  Value y = g.conv2d("conv", x, {.out_channels = 8, .kernel = 3, .padding = 1});
  y = g.batch_norm("norm1", y);
  x = g.relu("relu1", g.add("add", y, x));
  x = g.global_average_pool("pool", g.max_pool("halve", x, {.kernel = 2, .stride = 2}));
  return g.finish(g.linear("classify", x, {.out_features = 4}), 4);
}

std::unique_ptr<Model> model_with(const QuantizerMethod& method, const Given& given,
                                  const ModelOptions& options = {}) {
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = test::make(method, given);
  rule.offers = method.roles;
  rule.default_keep_float = method.keep_float;
  Graph graph = network();
  Plan plan = make_plan(graph, {rule});
  return std::make_unique<Model>(std::move(graph), std::move(plan), options);
}

/// Parameters that look trained: running statistics that fit, gammas of both signs.
void give_parameters(Model& model) {
  model.initialize({});
  std::uint64_t key = 3;
  for (const NamedTensor& entry : model.state()) {
    if (entry.name.find('/') != std::string::npos || entry.tensor.dim() != 1) continue;
    const at::Tensor noise = spread(entry.tensor.sizes().vec(), 0.4, ++key);
    const bool positive = entry.name.find("running_var") != std::string::npos;
    const bool gamma = entry.name.find("norm") == 0 && entry.name.ends_with(".weight");
    const at::NoGradGuard no_grad;
    entry.tensor.copy_(positive || gamma ? noise + 1 : noise);
  }
}

/// The largest difference from the float network's logits, in units of their spread.
double distance(const QuantizerMethod& method, const Given& given) {
  const auto model = model_with(method, given);
  give_parameters(*model);
  const at::Tensor images = spread({64, 3, 8, 8}, 2);
  for (std::int64_t step = 0; step < 2; ++step) {
    model->calibrate(images.slice(0, 32 * step, 32 * step + 32), {.step = step});
  }
  Graph graph = network();
  Model plain(std::move(graph), Plan{}, ModelOptions{});
  give_parameters(plain);
  const at::Tensor expected = plain.evaluate(images, {});
  const at::Tensor got = model->evaluate(images, {});
  return ((got - expected).abs().max() / expected.std()).item<double>();
}

TEST(PtqModel, EachWayStaysNearTheFloatNetworkAndGetsNearerWithMoreBits) {
  const auto bits = [](std::int64_t n) { return Given{{"bits", n}}; };
  EXPECT_LT(distance(half_method(), {}), 0.01);
  EXPECT_LT(distance(half_method(), {{"format", std::string("bf16")}}), 0.1);
  EXPECT_LT(distance(fixed_point_method(), bits(8)), 0.1);
  EXPECT_LT(distance(fixed_point_method(), bits(8)), distance(fixed_point_method(), bits(3)));
  EXPECT_LT(distance(codebook_method(), bits(8)), 0.05);
  EXPECT_LT(distance(codebook_method(), bits(8)), distance(codebook_method(), bits(2)));
  const Given observed = {{"observe", std::string("calibration")}};
  EXPECT_LT(distance(static_method(), observed), 0.15);
  Given narrow = observed;
  narrow["input_bits"] = std::int64_t{3};
  EXPECT_LT(distance(static_method(), observed), distance(static_method(), narrow));
}

TEST(PtqModel, StaticWeightsAreThoseOfTheFoldedNetwork) {
  const auto model = model_with(static_method(), {});
  give_parameters(*model);
  std::map<std::string, at::Tensor> state;
  for (const NamedTensor& entry : model->state()) state[entry.name] = entry.tensor.detach();
  const at::Tensor factor = state["norm1.weight"] * at::rsqrt(state["norm1.running_var"] + 1e-5);
  const at::Tensor folded = state["conv.weight"] * factor.reshape({-1, 1, 1, 1});
  const Encoded stored = model->encoded_weights({}).at("conv");
  const at::Tensor largest = folded.abs().amax({1, 2, 3});
  EXPECT_TRUE(same_bits(stored.scale, largest / 127.5));
  EXPECT_LT((decode(stored) - folded).abs().max().item<double>(),
            0.51 * stored.scale.max().item<double>());
}

TEST(PtqModel, TrainingInFloatIsThatOfTheFloatNetworkToTheBit) {
  const at::Tensor images = spread({16, 3, 8, 8}, 2);
  const auto gradients = [&](Model& model) {
    give_parameters(model);
    model.train(images, {}).square().sum().backward();
    std::map<std::string, at::Tensor> found;
    for (const NamedTensor& entry : model.state()) {
      if (entry.name.find('/') != std::string::npos) continue;
      found[entry.name] = entry.trainable ? entry.tensor.grad() : entry.tensor.detach();
    }
    return found;
  };
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Model plain(network(), Plan{}, {.precision = precision});
    const auto expected = gradients(plain);
    const auto model = model_with(static_method(), {}, {.precision = precision});
    const auto got = gradients(*model);
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      EXPECT_TRUE(at::equal(got.at(name), tensor)) << name << (precision == Precision::bf16);
    }
  }
}

TEST(PtqModel, CalibrationShowsEachEdgeWhatItQuantizes) {
  const auto model = model_with(static_method(), {{"observer", std::string("min_max")}});
  give_parameters(*model);
  const at::Tensor images = spread({16, 3, 8, 8}, 2);
  model->calibrate(images, {});
  std::map<std::string, at::Tensor> state;
  for (const NamedTensor& entry : model->state()) state[entry.name] = entry.tensor.detach();
  EXPECT_EQ(state.at("stem/input.maximum").item<float>(), images.max().item<float>());
  EXPECT_EQ(state.at("conv/input.minimum").item<float>(), 0.0F);  // behind a ReLU
  EXPECT_LT(state.at("add/input.minimum").item<float>(), 0.0F);
  EXPECT_EQ(state.at("add/input1.maximum").item<float>(),
            state.at("conv/input.maximum").item<float>());
  for (const char* slot : {"halve/input", "pool/input", "classify/input"}) {
    EXPECT_EQ(state.at(std::string(slot) + ".batches").item<float>(), 1.0F) << slot;
  }
}

TEST(PtqModel, OneExponentServesTheWholeNetworkAlsoWhenItIsLoaded) {
  const Given given = {{"bits", std::int64_t{4}}, {"scope", std::string("network")}};
  const auto model = model_with(fixed_point_method(), given);
  model->initialize({});
  std::vector<at::Tensor> weights;
  std::map<std::string, at::Tensor> state;
  for (const NamedTensor& entry : model->state()) {
    if (entry.decayed) weights.push_back(entry.tensor.detach().reshape({1, -1}));
    state[entry.name] = entry.tensor.detach().clone();
  }
  ASSERT_EQ(weights.size(), 3U);
  const float scale = std::ldexp(1.0F, best_exponents(at::cat(weights, 1), 4).front());
  const auto loaded = model_with(fixed_point_method(), given);
  loaded->load(state);
  const auto expected = model->encoded_weights({}), got = loaded->encoded_weights({});
  for (const auto& [node, encoded] : expected) {
    EXPECT_EQ(encoded.scale.item<float>(), scale) << node;
    EXPECT_TRUE(same_bits(decode(encoded), decode(got.at(node)))) << node;
  }
}

TEST(PtqModel, TrainingInFloatIsTheFloatNetworksTraining) {
  const at::Tensor images = spread({8, 3, 8, 8}, 2);
  Graph graph = network();
  Model plain(std::move(graph), Plan{}, ModelOptions{});
  give_parameters(plain);
  const at::Tensor expected = plain.train(images, {});
  for (const QuantizerMethod& method : {half_method(), fixed_point_method(), codebook_method()}) {
    const auto model = model_with(method, {});
    give_parameters(*model);
    EXPECT_TRUE(same_bits(model->train(images, {}), expected)) << method.name;
  }
  // The folded factor is multiplied in, and the result divided by it.
  const auto folded = model_with(static_method(), {});
  give_parameters(*folded);
  EXPECT_LT((folded->train(images, {}) - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
  const auto unfolded = model_with(static_method(), {{"fold_batch_norm", false}});
  give_parameters(*unfolded);
  EXPECT_TRUE(same_bits(unfolded->train(images, {}), expected));
}

}  // namespace
}  // namespace qhost::ptq
