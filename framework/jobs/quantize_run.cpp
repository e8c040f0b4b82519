#include "jobs/quantize_run.h"

#include <ATen/Parallel.h>

#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/initial_weights.h"
#include "jobs/requirements.h"
#include "qhost/error.h"
#include "report/source_run.h"
#include "training/divergence.h"
#include "training/evaluate.h"
#include "training/interrupt.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;

/// A TOML string, for an override.
std::string quoted(const std::string& text) {
  return to_string(OptionValue(text));
}

bool is_run(const fs::path& source) {
  return fs::is_directory(source);
}

/// "bits=4" is an option of the quantizer; "data.root=x" has its own table.
std::string with_table(const std::string& override) {
  const std::size_t equals = override.find('='), dot = override.find('.');
  const bool has_table = dot != std::string::npos && dot < equals;
  return has_table ? override : "quantizer." + override;
}

void require_float(const config::Experiment& experiment, const fs::path& source) {
  if (experiment.quantizers.empty()) return;
  throw Error(ErrorKind::configuration,
              source.string() + " is quantized already, by `" +
                  experiment.quantizers.front().method.name + "`",
              "name a float run; to train with another quantizer from these weights, set "
              "train.init_from in an experiment file");
}

/// Refuses weights of a quantized run, to which train.init_from may point: they are no float
/// network.
void require_float_weights(const fs::path& weights, config::Catalog& catalog) {
  const auto source = source_of_weights(weights, catalog);
  if (!source || source->method.empty()) return;
  throw Error(ErrorKind::configuration,
              weights.string() + " is quantized already, by `" + source->method +
                  "`: it holds the latent weights of " + source->run.string(),
              "name a float run; to train with another quantizer from these weights, set "
              "train.init_from in an experiment file");
}

/// Refuses a checkpoint file, which is neither a run nor an experiment.
void require_no_weights(const fs::path& source, config::Catalog& catalog) {
  if (is_run(source) || source.extension() != ".safetensors") return;
  require_float_weights(source, catalog);
  const fs::path run = report::run_around(source);
  throw Error(ErrorKind::configuration, source.string() + " holds weights and no experiment",
              (run.empty() ? "" : "name the run " + run.string() + ", or ") +
                  "set train.init_from = " + quoted(source.string()) + " in an experiment file");
}

/// The experiment of the network to be quantized, still in float.
config::Experiment source_experiment(const QuantizeRequest& request, ComponentCatalog& catalog,
                                     const fs::path& file,
                                     const std::vector<std::string>& overrides) {
  std::vector<std::string> as_float = {"quantizer.name=none"};
  for (const std::string& override : overrides) {
    if (!override.starts_with("quantizer.")) as_float.push_back(override);
  }
  if (is_run(request.source)) {
    require_float(config::load_experiment_or_throw(file, {}, catalog).at(0).experiment,
                  request.source);
  }
  return config::load_experiment_or_throw(file, as_float, catalog).at(0).experiment;
}

/// "ptq_static input_bits=4": the method of every rule, with the options that differ from its
/// defaults.
std::string quantizer_text(const config::Experiment& experiment, Registry& registry) {
  std::string text;
  for (const config::QuantizerRule& rule : experiment.quantizers) {
    text += (text.empty() ? "" : " + ") + rule.method.name;
    if (rule.method.name == "none") continue;
    for (const Option& option : registry.quantizer(rule.method.name).options) {
      const auto given = rule.method.options.values().find(option.name());
      if (given == rule.method.options.values().end()) continue;
      if (option.default_value() && *option.default_value() == given->second) continue;
      text += " " + option.name() + "=" + to_string(given->second);
    }
  }
  return text;
}

struct FloatNetwork {
  data::Dataset data;
  training::MetricsResult metrics;
};

FloatNetwork evaluate_float(const config::Experiment& experiment, Registry& registry,
                            training::Progress& progress) {
  const std::unique_ptr<Model> model = build_model(experiment, registry);
  const InitialWeights weights = read_initial_weights(experiment, registry, *model);
  RunPosition position;
  position.seed = static_cast<std::uint64_t>(experiment.train.integer("seed"));
  model->initialize(position, &weights.tensors, weights.drawn);
  data::Dataset data = load_data(experiment);
  training::MetricsResult metrics =
      training::evaluate_final(*model, experiment, data, data.test, position,
                               training::watch(progress, "test of the float network"))
          .metrics;
  training::require_finite_metrics(metrics, {data, data.test, "float network's test"}, *model,
                                   experiment, position);
  return {std::move(data), std::move(metrics)};
}

}  // namespace

RunOutcome quantize_run(const QuantizeRequest& request, Registry& registry,
                        training::Progress& progress) {
  const training::InterruptGuard interrupts(/*resumable=*/false);
  ComponentCatalog catalog(registry);
  require_no_weights(request.source, catalog);
  const fs::path file = is_run(request.source) ? request.source / "resolved.toml" : request.source;
  if (is_run(request.source) && !fs::exists(file)) {
    experiment_of_run(request.source, registry);  // throws the error for a missing run
  }
  std::vector<std::string> overrides = {"quantizer.name=" + quoted(request.quantizer),
                                        "train.epochs=0", "train.max_steps=0"};
  if (is_run(request.source)) {
    overrides.push_back("train.init_from=" + quoted(fs::absolute(request.source).string()));
    overrides.emplace_back("train.init_except=[]");  // the run has trained these layers
  }
  for (const std::string& override : request.overrides) overrides.push_back(with_table(override));

  const config::Experiment as_float = source_experiment(request, catalog, file, overrides);
  if (as_float.train.string("init_from").empty()) {
    throw Error(ErrorKind::configuration, file.string() + " names no trained network",
                "set train.init_from in it, or give a run directory, as runs/NAME/latest");
  }
  if (!is_run(request.source)) require_float_weights(as_float.train.string("init_from"), catalog);
  overrides.push_back("name=" + quoted(as_float.name + "_" + request.quantizer));
  const config::Experiment experiment =
      config::load_experiment_or_throw(file, overrides, catalog).at(0).experiment;
  if (experiment.quantizers.empty()) {
    throw Error(ErrorKind::configuration, "`none` quantizes nothing",
                "`qhost list` shows the quantizers");
  }
  // Errors of the quantizer are reported before anything is computed.
  const Graph graph = build_graph(experiment, registry);
  require_possible(experiment, graph, build_plan(experiment, registry, graph));

  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  const FloatNetwork before = evaluate_float(as_float, registry, progress);
  RunRequest run = request.run;
  run.data = &before.data;  // only the quantizer differs
  run.known.float_test_accuracy = before.metrics.top1;
  run.known.float_test_loss = before.metrics.loss;
  run.known.quantizer = quantizer_text(experiment, registry);
  return run_experiment(experiment, run, registry, progress);
}

}  // namespace qhost::jobs
