// Traits::bias_correction, which ptq_static uses: the correction that the host adds to each node.
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

std::unique_ptr<Model> corrected_model(const Given& given, Graph graph = corrected_network()) {
  const QuantizerMethod method = static_method();
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = test::make(method, given);
  rule.offers = method.roles;
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

void correct(Model& model, const std::vector<at::Tensor>& batches) {
  model.correct_biases(static_cast<std::int64_t>(batches.size()),
                       [&](std::int64_t i) { return batches.at(static_cast<std::size_t>(i)); }, {});
}

TEST(BiasCorrection, EqualsTheIndependentImplementation) {
  const json document = golden("bias_correction");
  ASSERT_EQ(document["cases"].size(), 3U);
  for (const json& which : document["cases"]) {
    const auto model = corrected_model({{"weight_bits", which["weight_bits"].get<std::int64_t>()},
                                        {"observer", std::string("min_max")},
                                        {"pools", false},
                                        {"bias_correction", true}});
    model->initialize({});
    load(*model, which["state"]);
    std::vector<at::Tensor> images;
    for (const json& recipe : which["images"]) {
      model->calibrate(made(recipe), {.step = static_cast<std::int64_t>(images.size())});
      images.push_back(made(recipe));
    }
    correct(*model, images);
    for (const auto& [layer, expected] : which["corrections"].items()) {
      const at::Tensor got = of(*model, layer + "/weight.bias_correction");
      EXPECT_TRUE(test::within_ulps(got, floats(expected), 64)) << layer;
      EXPECT_GT(got.abs().max().item<double>(), 1e-5) << layer;
    }
    const at::Tensor logits = model->evaluate(at::cat(images), {});
    EXPECT_TRUE(test::within_ulps(logits, floats(which["logits"]).reshape({12, 3}), 64));

    // A second calibration starts from scratch, and a checkpoint contains the correction.
    const at::Tensor first = of(*model, "conv2/weight.bias_correction").clone();
    correct(*model, images);
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

/// Convolutions with and without a bias, grouped and not, each before a batch norm.
Graph grouped_network() {
  GraphBuilder g;
  Value x = g.input({{3, 7, 7}});
  x = g.conv2d("conv1", x, {.out_channels = 4, .kernel = 3, .padding = 1});
  x = g.relu("relu1", g.batch_norm("bn1", x));
  x = g.conv2d("conv2", x,
               {.out_channels = 6, .kernel = 3, .stride = 2, .groups = 2, .bias = true});
  x = g.relu("relu2", g.batch_norm("bn2", x));
  x = g.global_average_pool("pool", x);
  return g.finish(g.linear("fc", x, {.out_features = 3}), 3);
}

/// The quantized network, layer by layer: c = mean over images and positions of conv(x^, W) -
/// conv(x^, W^), where W is the latent weight, or the folded one.
TEST(BiasCorrection, IsTheFormulaOfEachLayerFoldedOrNotGroupedOrNot) {
  for (const bool folds : {false, true}) {
    const auto model = corrected_model({{"weight_bits", std::int64_t{2}},
                                        {"observer", std::string("min_max")},
                                        {"pools", false},
                                        {"fold_batch_norm", folds},
                                        {"bias_correction", true}},
                                       grouped_network());
    model->initialize({});
    std::uint64_t key = 3;
    for (const NamedTensor& entry : model->state()) {
      if (entry.tensor.dim() != 1 || entry.name.find('/') != std::string::npos) continue;
      // Gammas and variances near 1, biases and means near 0.
      const bool around_one = entry.name.ends_with("running_var") ||
                              entry.name.starts_with("bn1.weight") ||
                              entry.name.starts_with("bn2.weight");
      const at::NoGradGuard no_grad;
      entry.tensor.copy_(test::spread(entry.tensor.sizes().vec(), 0.4, ++key) + around_one);
    }
    const at::Tensor images = test::spread({12, 3, 7, 7}, 1, 2);
    model->calibrate(images, {});
    correct(*model, {images.slice(0, 0, 8), images.slice(0, 8)});

    const at::NoGradGuard no_grad;
    const auto stored = model->encoded_weights({});
    at::Tensor x = images;
    const auto x_hat = [&](const std::string& name) {
      for (const PlannedSlot& slot : model->plan().slots) {
        if (slot.info.node != name || slot.info.role != Role::input) continue;
        return decode(slot.input->encode(test::context_of(slot.info, Mode::evaluate), x).codes, 1);
      }
      ADD_FAILURE() << name << " has no input slot";
      return x;
    };
    const auto found = [&](const std::string& node, const at::Tensor& lost) {
      const at::Tensor got = of(*model, node + "/weight.bias_correction");
      EXPECT_LT((got - lost).abs().max().item<double>(), 1e-5) << node << ", " << folds;
      EXPECT_GT(lost.abs().max().item<double>(), 1e-3) << node << ", " << folds;
      return got;
    };
    const auto layer = [&](const std::string& conv, const std::string& norm, std::int64_t stride,
                           std::int64_t padding, std::int64_t groups) {
      const auto column = [](const at::Tensor& t) { return t.reshape({1, -1, 1, 1}); };
      const at::Tensor factor =
          of(*model, norm + ".weight") / (of(*model, norm + ".running_var") + 1e-5).sqrt();
      const at::Tensor latent = of(*model, conv + ".weight");
      const at::Tensor w = folds ? latent * factor.reshape({-1, 1, 1, 1}) : latent;
      const auto convolved = [&, x = x_hat(conv)](const at::Tensor& weight) {
        return at::conv2d(x, weight, {}, {stride, stride}, {padding, padding}, {1, 1}, groups);
      };
      const at::Tensor rounded = convolved(decode(stored.at(conv)));
      at::Tensor y = rounded + column(found(conv, (convolved(w) - rounded).mean({0, 2, 3})));
      at::Tensor mean = of(*model, norm + ".running_mean");
      if (conv == "conv2") mean = mean - of(*model, "conv2.bias");
      y = folds ? y - column(mean * factor) : (y - column(mean)) * column(factor);
      x = at::relu(y + column(of(*model, norm + ".bias")));
    };
    layer("conv1", "bn1", 1, 1, 1);
    layer("conv2", "bn2", 2, 0, 2);
    x = x.mean({2, 3});
    const at::Tensor last = x_hat("fc"), rounded = at::linear(last, decode(stored.at("fc")));
    const at::Tensor lost = at::linear(last, of(*model, "fc.weight")) - rounded;
    const at::Tensor logits = rounded + found("fc", lost.mean(0)) + of(*model, "fc.bias");
    EXPECT_LT((model->evaluate(images, {}) - logits).abs().max().item<double>(), 1e-5) << folds;
  }
}

TEST(BiasCorrection, GivesTheMeansOfTheLogitsBack) {
  const json which = golden("bias_correction")["cases"][0];  // two bits
  const at::Tensor images = made(which["images"][0]);
  const auto error_of_means = [&](bool corrects) {
    const auto model =
        corrected_model({{"weight_bits", std::int64_t{2}}, {"bias_correction", corrects}});
    model->initialize({});
    load(*model, which["state"]);
    model->calibrate(images, {});
    if (corrects) correct(*model, {images});
    Model plain(corrected_network(), Plan{}, ModelOptions{});
    plain.initialize({});
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
