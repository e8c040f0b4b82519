/// Compares two optimizer steps of a small network with a file that a script of tools/golden/ made
/// with PyTorch alone: {seed, input, input_shape, labels, initial, cases: [{options, optimizer,
/// learning_rate, losses, after: [state after each step], logits}]}.
///
/// The steps are a whole run, jobs::run_experiment on an experiment file: one epoch of two batches,
/// which both hold the file's images, from the file's weights through train.init_from.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/process.h"
#include "config/load.h"
#include "data/add_dataset.h"
#include "data/common_options.h"
#include "data/data_loader.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "model/model.h"
#include "qhost/plugin.h"
#include "runs/checkpoint.h"
#include "storage/safetensors.h"
#include "storage/tensor_bytes.h"

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

/// Equal to float rounding: 2 units in the last place of `magnitude` per step, where `magnitude` is
/// that of the terms of the sum.
inline void expect_close(const at::Tensor& got, const json& texts, double magnitude,
                         std::int64_t steps, const std::string& what) {
  const at::Tensor expected = tensor_of(texts, got.sizes().vec()).to(at::kDouble);
  const at::Tensor allowed =
      expected.abs().clamp_min(magnitude) * std::ldexp(2.0 * static_cast<double>(steps), -23);
  const at::Tensor excess = (got.to(at::kDouble) - expected).abs() / allowed;
  EXPECT_LE(excess.max().item<double>(), 1.0) << what << "\n" << got << "\n" << expected;
}

/// The file's network and images as an architecture and a data set, both called `name`.
class GoldenNetwork {
 public:
  GoldenNetwork(std::string name, const json& document,
                std::function<Value(GraphBuilder&, Value)> build)
      : name_(std::move(name)), document_(document), build_(std::move(build)) {
    if (data::find_dataset(name_) != nullptr) return;
    data::DatasetInfo info;
    info.name = name_;
    info.options = data::common_options();
    info.image = Shape{image()};
    info.classes = 3;
    info.class_names = [](const Options&) { return std::vector<std::string>{"a", "b", "c"}; };
    info.load = [set = images()](const Options&) { return set; };
    data::add_dataset(std::move(info));
  }
  const std::string& name() const { return name_; }
  const json& document() const { return document_; }

  void register_in(Registry& registry) const {
    registry.add_builtin("golden", "1.0.0", [&](Registrar& registrar) {
      registrar.add_architecture(
          {.name = name_,
           .summary = "a golden file's",
           .build = [build = build_](GraphBuilder& g, Value input, const ArchitectureContext&,
                                     const Options&) { return build(g, input); }});
    });
  }
  /// {C, H, W}
  std::vector<std::int64_t> image() const {
    auto shape = document_["input_shape"].get<std::vector<std::int64_t>>();
    shape.erase(shape.begin());
    return shape;
  }
  at::Tensor input() const { return tensor_of(document_["input"], document_["input_shape"]); }

 private:
  /// The file's images twice, stored in such an order that the first epoch shows them in the file's
  /// order both times.
  data::Dataset images() const {
    data::Dataset set;
    set.name = name_;
    set.image = Shape{image()};
    set.classes = 3;
    set.class_names = {"a", "b", "c"};
    const auto channels = static_cast<std::size_t>(image().at(0));
    set.mean.assign(channels, 0);
    set.std.assign(channels, 1);
    const at::Tensor x = input();
    const auto labels = document_["labels"].get<std::vector<std::uint16_t>>();
    const std::size_t count = labels.size(), size = static_cast<std::size_t>(x[0].numel());
    const auto* from = x.const_data_ptr<float>();
    const auto fill = [&](data::Split& split, const std::vector<std::uint32_t>& places) {
      split.floats.resize(places.size() * size);
      split.labels.resize(places.size());
      split.source_index.resize(places.size());
      for (std::size_t i = 0; i < places.size(); ++i) {
        std::copy_n(from + i % count * size, size, split.floats.begin() + places[i] * size);
        split.labels[places[i]] = labels[i % count];
        split.source_index[places[i]] = places[i];
      }
    };
    fill(set.train,
         data::epoch_permutation(document_["seed"], 0, 2 * static_cast<std::int64_t>(count)));
    std::vector<std::uint32_t> in_order(count);
    for (std::size_t i = 0; i < count; ++i) in_order[i] = static_cast<std::uint32_t>(i);
    fill(set.test, in_order);
    return set;
  }

  std::string name_;
  const json& document_;
  std::function<Value(GraphBuilder&, Value)> build_;
};

/// The mean loss of the epoch so far, after each step.
class GoldenLosses : public training::Progress {
 public:
  void step(const training::StepReport& report) override { means.push_back(report.loss); }
  void epoch(const training::EpochReport&) override {}
  void note(const std::string&) override {}
  std::vector<double> means;
};

inline std::string golden_experiment(const GoldenNetwork& network, const json& which,
                                     const std::string& method,
                                     const std::vector<const char*>& options,
                                     const std::string& keep_float, bool channels_last) {
  const auto number = [](const json& value) { return to_string(OptionValue(value.get<double>())); };
  std::string text = "[data]\nname = \"" + network.name() + "\"\n[model]\nname = \"" +
                     network.name() + "\"\n[quantizer]\nname = \"" + method +
                     "\"\nkeep_float = " + keep_float + "\n";
  for (const char* key : options) {
    if (which.contains(key)) {
      text += std::string(key) + " = \"" + which[key].get<std::string>() + "\"\n";
    }
  }
  text +=
      "[augment]\nnormalize = false\n[train]\nepochs = 1\nthreads = 1\n"
      "loss = \"squared_hinge\"\ninit_from = \"initial.safetensors\"\n"
      "checkpoint_every_steps = 1\nseed = " +
      network.document()["seed"].dump() +
      "\nbatch_size = " + std::to_string(network.document()["labels"].size()) +
      "\nchannels_last = " + (channels_last ? "true" : "false") + "\n[optimizer]\nname = \"" +
      which["optimizer"].get<std::string>() +
      "\"\nlearning_rate = " + number(which["learning_rate"]) +
      "\nweight_decay = " + number(which["weight_decay"]) + "\n";
  text += which["optimizer"] == "sgd"
              ? "momentum = 0.9\nnesterov = true\n"
              : "epsilon = " + number(network.document()["adam_epsilon"]) + "\n";
  return text;
}

/// Runs the case and compares losses, the state after each step, and the final logits. `options`
/// are those of the method, with the values of the case; `slots` is the expected number of slots.
/// `start` gives the value to load for a tensor whose value in the file is not the one to load.
/// same.
inline void expect_golden_run(
    const GoldenNetwork& network, const json& which, const std::string& method,
    const std::vector<const char*>& options, const std::string& keep_float, std::size_t slots,
    bool channels_last,
    const std::function<at::Tensor(const std::string&, const at::Tensor&)>& start =
        [](const std::string&, const at::Tensor& tensor) { return tensor; }) {
  const tests::Workshop folder;
  folder.write("golden.toml",
               golden_experiment(network, which, method, options, keep_float, channels_last));
  Registry registry(
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false});
  network.register_in(registry);
  jobs::ComponentCatalog catalog(registry);
  const auto load = [&] {
    return config::load_experiment_or_throw(folder / "golden.toml", {}, catalog).at(0).experiment;
  };
  const config::Experiment experiment = load();
  const std::unique_ptr<Model> model = jobs::build_model(experiment, registry);
  ASSERT_EQ(model->plan().slots.size(), slots);
  storage::TensorBytes initial;
  for (const auto& [name, texts] : network.document()["initial"].items()) {
    for (const NamedTensor& entry : model->state()) {
      if (entry.name != name) continue;
      initial.add(name, start(name, tensor_of(texts, entry.tensor.sizes().vec())));
    }
  }
  storage::write_safetensors(folder / "initial.safetensors", initial.views());

  GoldenLosses losses;
  jobs::RunRequest request;
  request.run_dir = (folder / "run").string();
  jobs::run_experiment(experiment, request, registry, losses);
  const std::size_t steps = which["after"].size();
  ASSERT_EQ(losses.means.size(), steps);
  double sum = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    sum += std::strtod(which["losses"][step].get_ref<const std::string&>().c_str(), nullptr);
    EXPECT_NEAR(losses.means[step], sum / static_cast<double>(step + 1), 1e-6);
    const json& after = which["after"][step];
    const std::string number = std::to_string(step + 1);
    const std::string checkpoint = "run/checkpoints/step-" + std::string(8 - number.size(), '0');
    const auto saved = storage::read_tensors(
        runs::load_checkpoint(folder / (checkpoint + number)).tensors, "model/");
    ASSERT_EQ(saved.size(), after.size());
    for (const auto& [name, tensor] : saved) {
      // A mean is a sum of numbers near 1 that nearly cancel.
      double largest = name.ends_with("running_mean") ? 1 : 0;
      for (const auto& text : after[name]) {
        largest = std::max(
            largest, std::fabs(std::strtod(text.get_ref<const std::string&>().c_str(), nullptr)));
      }
      expect_close(tensor, after[name], largest, static_cast<std::int64_t>(step) + 1,
                   name + " after step " + number);
    }
    model->load(saved);
  }
  const at::Tensor logits = model->evaluate(network.input(), {.seed = network.document()["seed"]});
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

/// The values that the case gives for `keys`, and the layout.
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
