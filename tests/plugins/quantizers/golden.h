/// Two optimizer steps of a small network against a file that a script of tools/golden/ made with
/// PyTorch alone: {seed, input, input_shape, labels, initial, cases: [{options, optimizer,
/// learning_rate, losses, after: [state after each step], logits}]}.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "model/model.h"
#include "slots.h"
#include "training/loss.h"
#include "training/optimizer.h"

namespace qhost::test {

using nlohmann::json;

inline at::Tensor tensor_of(const json& texts, std::vector<std::int64_t> shape) {
  std::vector<float> list;
  for (const auto& text : texts) {
    list.push_back(std::strtof(text.get_ref<const std::string&>().c_str(), nullptr));
  }
  return at::tensor(list, at::kFloat).reshape(shape);
}

/// `file` below tests/golden/.
inline json golden_document(const std::string& file) {
  std::ifstream stream(QHOST_SOURCE_DIR "/tests/golden/" + file);
  return json::parse(stream);
}

/// Those of `keys` that the case gives.
inline std::map<std::string, OptionValue> options_of(const json& which,
                                                     const std::vector<const char*>& keys) {
  std::map<std::string, OptionValue> given;
  for (const char* key : keys) {
    if (which.contains(key)) given[key] = which[key].get<std::string>();
  }
  return given;
}

inline std::unique_ptr<training::Optimizer> optimizer_of(const json& document, const json& which,
                                                         const Model& model) {
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
    options.set("epsilon", document["adam_epsilon"].get<double>());
  }
  return training::make_optimizer(which["optimizer"].get<std::string>(), options, parameters);
}

/// Equal to float rounding: 2 units in the last place for each step done, of `magnitude`, that of
/// the numbers whose sum the value is.
inline void expect_close(const at::Tensor& got, const json& texts, double magnitude,
                         std::int64_t steps, const std::string& what) {
  const at::Tensor expected = tensor_of(texts, got.sizes().vec()).to(at::kDouble);
  const at::Tensor allowed =
      expected.abs().clamp_min(magnitude) * std::ldexp(2.0 * static_cast<double>(steps), -23);
  const at::Tensor excess = (got.to(at::kDouble) - expected).abs() / allowed;
  EXPECT_LE(excess.max().item<double>(), 1.0) << what << "\n" << got << "\n" << expected;
}

/// Trains `graph` under `plan` as the case says and compares losses, state and logits.
inline void expect_golden_steps(const json& document, const json& which, Graph graph, Plan plan,
                                bool channels_last) {
  Model model(std::move(graph), std::move(plan), {.channels_last = channels_last});

  std::map<std::string, at::Tensor> initial;
  for (const NamedTensor& entry : model.state()) {
    initial[entry.name] = tensor_of(document["initial"][entry.name], entry.tensor.sizes().vec());
  }
  model.load(initial);
  const auto optimizer = optimizer_of(document, which, model);
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
      double largest = entry.name.ends_with("running_mean") ? 1 : 0;
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

struct GoldenCase {
  std::size_t index;
  bool channels_last;
};

inline void PrintTo(const GoldenCase& which, std::ostream* out) {
  *out << "case " << which.index;
}

inline std::vector<GoldenCase> golden_cases(const json& document) {
  std::vector<GoldenCase> cases;
  for (std::size_t i = 0; i < document["cases"].size(); ++i) {
    cases.push_back({i, false});
    cases.push_back({i, true});
  }
  return cases;
}

/// The values of those of `keys` that the case gives, and the layout.
inline std::string golden_name(const json& document, const GoldenCase& which,
                               const std::vector<const char*>& keys) {
  std::string name;
  for (const char* key : keys) {
    const json& one = document["cases"][which.index];
    if (one.contains(key)) name += one[key].get<std::string>() + "_";
  }
  return name + (which.channels_last ? "channels_last" : "contiguous");
}

}  // namespace qhost::test
