// Traits::bias_correction, as ptq_static asks for it: what the host adds to each node.
#include <ATen/core/grad_mode.h>

#include "golden_cases.h"
#include "model/model.h"
#include "plugins/ptq/static.h"
#include "ptq_golden.h"

namespace qhost::ptq {
namespace {

/// The layers of tools/golden/ptq.py's bias_correction.
Graph corrected_network() {
  GraphBuilder g;
  Value x = g.input({{3, 7, 7}});
  x = g.conv2d("conv1", x, {.out_channels = 4, .kernel = 3, .padding = 1});
  x = g.relu("relu1", g.batch_norm("bn1", x));
  x = g.conv2d("conv2", x, {.out_channels = 5, .kernel = 3, .padding = 1, .bias = true});
  x = g.global_average_pool("pool", g.relu("relu2", x));
  return g.finish(g.linear("fc", x, {.out_features = 3}), 3);
}

std::unique_ptr<Model> corrected_model(const Given& given) {
  const QuantizerMethod method = static_method();
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = test::make(method, given);
  rule.offers = method.roles;
  Graph graph = corrected_network();
  Plan plan = make_plan(graph, {rule});
  return std::make_unique<Model>(std::move(graph), std::move(plan), ModelOptions{});
}

void load(Model& model, const json& state) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& entry : model.state()) {
    if (state.contains(entry.name)) entry.tensor.copy_(made(state[entry.name]));
  }
}

at::Tensor of(const Model& model, const std::string& name) {
  for (const NamedTensor& entry : model.state()) {
    if (entry.name == name) return entry.tensor.detach();
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

TEST(BiasCorrection, EqualsTheIndependentImplementation) {
  const json document = golden("bias_correction");
  ASSERT_EQ(document["cases"].size(), 3U);
  for (const json& which : document["cases"]) {
    const auto model = corrected_model({{"weight_bits", which["weight_bits"].get<std::int64_t>()},
                                        {"observer", std::string("min_max")},
                                        {"pools", false},
                                        {"bias_correction", true}});
    model->initialise({});
    load(*model, which["state"]);
    std::vector<at::Tensor> images;
    for (const json& recipe : which["images"]) {
      model->calibrate(made(recipe), {.step = static_cast<std::int64_t>(images.size())});
      images.push_back(made(recipe));
    }
    model->correct_biases(images, {});
    for (const auto& [layer, expected] : which["corrections"].items()) {
      const at::Tensor got = of(*model, layer + "/weight.bias_correction");
      EXPECT_TRUE(test::within_ulps(got, floats(expected), 64)) << layer;
      EXPECT_GT(got.abs().max().item<double>(), 1e-5) << layer;
    }
    const at::Tensor logits = model->evaluate(at::cat(images), {});
    EXPECT_TRUE(test::within_ulps(logits, floats(which["logits"]).reshape({12, 3}), 64));

    // Calibrating again starts anew, and what was found travels with a checkpoint.
    const at::Tensor first = of(*model, "conv2/weight.bias_correction").clone();
    model->correct_biases(images, {});
    EXPECT_TRUE(at::equal(first, of(*model, "conv2/weight.bias_correction")));
    std::map<std::string, at::Tensor> saved;
    for (const NamedTensor& entry : model->state()) saved[entry.name] = entry.tensor.clone();
    const auto loaded = corrected_model({{"weight_bits", which["weight_bits"].get<std::int64_t>()},
                                         {"observer", std::string("min_max")},
                                         {"pools", false},
                                         {"bias_correction", true}});
    loaded->load(saved);
    EXPECT_TRUE(at::equal(loaded->evaluate(at::cat(images), {}), logits));
  }
}

TEST(BiasCorrection, GivesTheMeansOfTheLogitsBack) {
  const json which = golden("bias_correction")["cases"][0];  // two bits
  const at::Tensor images = made(which["images"][0]);
  const auto error_of_means = [&](bool corrects) {
    const auto model =
        corrected_model({{"weight_bits", std::int64_t{2}}, {"bias_correction", corrects}});
    model->initialise({});
    load(*model, which["state"]);
    model->calibrate(images, {});
    if (corrects) model->correct_biases({images}, {});
    Model plain(corrected_network(), Plan{}, ModelOptions{});
    plain.initialise({});
    load(plain, which["state"]);
    const at::Tensor difference = model->evaluate(images, {}) - plain.evaluate(images, {});
    return difference.mean(0).abs().max().item<double>();
  };
  EXPECT_LT(error_of_means(true), 0.3 * error_of_means(false));
}

TEST(BiasCorrection, IsNoPartOfAModelThatDoesNotAskForIt) {
  const auto model = corrected_model({});
  for (const NamedTensor& entry : model->state()) {
    EXPECT_EQ(entry.name.find("bias_correction"), std::string::npos) << entry.name;
  }
  EXPECT_FALSE(model->plan().bias_correction);
}

}  // namespace
}  // namespace qhost::ptq
