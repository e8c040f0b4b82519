// Two optimizer steps of a small network against tests/golden/binary_methods/steps.json, which
// tools/golden/binary_methods.py makes with PyTorch alone.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model/model.h"
#include "plugins/binaryconnect/method.h"
#include "plugins/bwn/method.h"
#include "slots.h"
#include "training/loss.h"
#include "training/optimizer.h"

namespace qhost {
namespace {

using nlohmann::json;

at::Tensor tensor_of(const json& texts, std::vector<std::int64_t> shape) {
  std::vector<float> list;
  for (const auto& text : texts) {
    list.push_back(std::strtof(text.get_ref<const std::string&>().c_str(), nullptr));
  }
  return at::tensor(list, at::kFloat).reshape(shape);
}

const json& golden() {
  static const json document = [] {
    std::ifstream file(QHOST_SOURCE_DIR "/tests/golden/binary_methods/steps.json");
    return json::parse(file);
  }();
  return document;
}

Graph network() {
  GraphBuilder g;
  const auto shape = golden()["input_shape"].get<std::vector<std::int64_t>>();
  Value y = g.input({{shape[1], shape[2], shape[3]}});
  const auto filters = golden()["filters"].get<std::int64_t>();
  y = g.conv2d("conv", y, {.out_channels = filters, .kernel = 3, .padding = 1});
  y = g.relu("relu", g.batch_norm("norm", y));
  y = g.linear("classify", g.global_average_pool("pool", y), {.out_features = 3});
  return g.finish(y, 3);
}

std::map<std::string, OptionValue> options_of(const json& which) {
  std::map<std::string, OptionValue> given;
  for (const char* key : {"mode", "lr_scale", "gradient"}) {
    if (which.contains(key)) given[key] = which[key].get<std::string>();
  }
  return given;
}

std::unique_ptr<training::Optimizer> optimizer_of(const json& which, const Model& model) {
  std::vector<training::TrainableParameter> parameters;
  for (const NamedTensor& entry : model.state()) {
    if (!entry.trainable) continue;
    const double decay = entry.decayed ? which["weight_decay"].get<double>() : 0.0;
    parameters.push_back({.name = entry.name,
                          .tensor = entry.tensor,
                          .learning_rate_multiplier = entry.learning_rate_multiplier,
                          .weight_decay = entry.weight_decay.value_or(decay)});
  }
  Options options;
  if (which["optimizer"] == "sgd") {
    options.set("momentum", 0.9);
    options.set("nesterov", true);
  } else {
    options.set("beta1", 0.9);
    options.set("beta2", 0.999);
    options.set("epsilon", golden()["adam_epsilon"].get<double>());
  }
  return training::make_optimizer(which["optimizer"].get<std::string>(), options, parameters);
}

/// Equal to float rounding: 2 units in the last place for each step done, of `magnitude`, that of
/// the numbers whose sum the value is.
void expect_close(const at::Tensor& got, const json& texts, double magnitude, std::int64_t steps,
                  const std::string& what) {
  const at::Tensor expected = tensor_of(texts, got.sizes().vec()).to(at::kDouble);
  const at::Tensor allowed =
      expected.abs().clamp_min(magnitude) * std::ldexp(2.0 * static_cast<double>(steps), -23);
  const at::Tensor excess = (got.to(at::kDouble) - expected).abs() / allowed;
  EXPECT_LE(excess.max().item<double>(), 1.0) << what << "\n" << got << "\n" << expected;
}

struct Case {
  std::size_t index;
  bool channels_last;
};

void PrintTo(const Case& which, std::ostream* out) {
  *out << "case " << which.index;
}

class BinaryMethodStep : public testing::TestWithParam<Case> {};

TEST_P(BinaryMethodStep, EqualsTheIndependentImplementation) {
  const json& document = golden();
  const json& which = document["cases"][GetParam().index];
  const QuantizerMethod method = which["method"] == "bwn" ? bwn::method() : binaryconnect::method();
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = test::make(method, options_of(which));
  rule.offers = method.roles;
  rule.keep_float = std::vector<std::string>{};
  Graph graph = network();
  Plan plan = make_plan(graph, {rule});
  ASSERT_EQ(plan.slots.size(), 2U);
  Model model(std::move(graph), std::move(plan), {.channels_last = GetParam().channels_last});

  std::map<std::string, at::Tensor> initial;
  for (const NamedTensor& entry : model.state()) {
    initial[entry.name] = tensor_of(document["initial"][entry.name], entry.tensor.sizes().vec());
  }
  model.load(initial);
  const auto optimizer = optimizer_of(which, model);
  const at::Tensor x = tensor_of(document["input"], document["input_shape"]);
  const at::Tensor labels = at::tensor(document["labels"].get<std::vector<std::int64_t>>());

  const training::LossFunction hinge = training::make_loss("squared_hinge", 0);

  RunPosition position;
  position.seed = document["seed"].get<std::uint64_t>();
  for (const json& after : which["after"]) {
    optimizer->zero_gradients();
    const at::Tensor loss = hinge(model.train(x, position), labels);
    const std::string golden_loss = which["losses"][static_cast<std::size_t>(position.step)];
    EXPECT_NEAR(loss.item<double>(), std::strtod(golden_loss.c_str(), nullptr), 1e-6);
    loss.backward();
    optimizer->step(which["learning_rate"].get<double>());
    model.after_step(position);
    ++position.step;
    for (const NamedTensor& entry : model.state()) {
      // A mean is a sum of numbers around 1 that nearly cancel.
      double largest = entry.name == "norm.running_mean" ? 1 : 0;
      for (const auto& text : after[entry.name]) {
        largest = std::max(
            largest, std::fabs(std::strtod(text.get_ref<const std::string&>().c_str(), nullptr)));
      }
      expect_close(entry.tensor, after[entry.name], largest, position.step,
                   entry.name + " after step " + std::to_string(position.step));
    }
  }
  const at::Tensor logits = model.evaluate(x, position);
  const at::Tensor expected = tensor_of(which["logits"], logits.sizes().vec());
  EXPECT_LT((logits - expected).abs().max().item<double>(),
            1e-5 * expected.abs().max().item<double>());
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (std::size_t i = 0; i < golden()["cases"].size(); ++i) {
    cases.push_back({i, false});
    cases.push_back({i, true});
  }
  return cases;
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const json& which = golden()["cases"][info.param.index];
  std::string name = which["method"].get<std::string>();
  for (const char* key : {"mode", "lr_scale", "gradient", "optimizer"}) {
    if (which.contains(key)) name += "_" + which[key].get<std::string>();
  }
  return name + (info.param.channels_last ? "_channels_last" : "_contiguous");
}

INSTANTIATE_TEST_SUITE_P(Golden, BinaryMethodStep, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace qhost
