#include "jobs/warnings.h"
#include "common/number_text.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "config/diagnostic_codes.h"
#include "data/data_loader.h"

namespace qhost::jobs {
namespace {

using config::code::doubtful;
using Diagnostics = std::vector<config::Diagnostic>;

void warn_of_epochs(const config::Experiment& experiment, Diagnostics& warnings) {
  if (experiment.train.integer("epochs") > 0) return;
  if (!experiment.train.string("init_from").empty()) return;
  warnings.push_back(
      warning_at(experiment, "train.epochs", "",
                 "`train.epochs` = 0 without train.init_from: the network is scored as it is drawn",
                 "set train.epochs, or name trained weights in train.init_from", doubtful));
}

void warn_of_steps(const config::Experiment& experiment, std::int64_t images,
                   Diagnostics& warnings) {
  const Options& train = experiment.train;
  const std::int64_t size = train.integer("batch_size"), epochs = train.integer("epochs");
  if (epochs == 0 || data::steps_per_epoch(images, size, train.boolean("drop_last")) != 1) return;
  warnings.push_back(warning_at(
      experiment, "train.batch_size", "train.epochs",
      "`train.batch_size` = " + std::to_string(size) + ": the " + with_separators(images) +
          " training images make one step an epoch, " + std::to_string(epochs) + " in all",
      "set a smaller train.batch_size", doubtful));
}

void warn_of_threads(const config::Experiment& experiment, Diagnostics& warnings) {
  const std::int64_t threads = experiment.train.integer("threads");
  const std::int64_t cores = std::max(1U, std::thread::hardware_concurrency());
  if (threads <= cores) return;
  warnings.push_back(warning_at(
      experiment, "train.threads", "",
      "`train.threads` = " + std::to_string(threads) + ": this machine has " +
          std::to_string(cores) + (cores == 1 ? " core" : " cores") + " for it",
      "set train.threads to at most " + std::to_string(cores) +
          "; their number changes the last bits of a result, so a run that is repeated keeps it",
      doubtful));
}

/// The key of the last rule with that method.
std::string rule_of(const config::Experiment& experiment, const std::string& method) {
  std::string key = "quantizer";
  for (std::size_t i = 0; i < experiment.quantizers.size(); ++i) {
    if (experiment.quantizers[i].method.name == method) key = "quantizer." + std::to_string(i);
  }
  return key;
}

void warn_of_bytes(const config::Experiment& experiment, const report::Summary& summary,
                   Diagnostics& warnings) {
  std::map<std::string, std::vector<const report::SummaryLayer*>> larger;
  for (const report::SummaryLayer& layer : summary.layers) {
    if (!layer.weight_method.empty() && layer.weight_bytes > layer.float_weight_bytes) {
      larger[layer.weight_method].push_back(&layer);
    }
  }
  for (const auto& [method, layers] : larger) {
    const report::SummaryLayer& first = *layers.front();
    std::string names = first.name;
    for (std::size_t i = 1; i < layers.size() && i < 4; ++i) names += ", " + layers[i]->name;
    if (layers.size() > 4) names += " and " + std::to_string(layers.size() - 4) + " more";
    warnings.push_back(warning_at(
        experiment, rule_of(experiment, method), "",
        "`" + method + "` stores more bytes than float32 takes, in " + names + ": " +
            with_separators(first.weight_bytes) + " in the place of " +
            with_separators(first.float_weight_bytes) + " for " + first.name,
        "set fewer bits, let more weights share a scale or table, or name them in keep_float",
        doubtful));
  }
}

void warn_of_calibration(const config::Experiment& experiment, std::int64_t images,
                         Diagnostics& warnings) {
  const std::int64_t shown = std::min(images, experiment.calibration.integer("batches") *
                                                  experiment.calibration.integer("batch_size"));
  if (shown != 1) return;
  warnings.push_back(warning_at(
      experiment, "calibration.batch_size", "calibration.batches",
      "`calibration.batch_size` = " + std::to_string(experiment.calibration.integer("batch_size")) +
          ": ranges and corrections come from 1 image, and fit no other",
      "set calibration.batches or calibration.batch_size above 1; 32 of each are the default",
      doubtful));
}

void warn_of_source(const config::Experiment& experiment, const WeightSource& source,
                    Diagnostics& warnings) {
  if (!source.method.empty()) {
    warnings.push_back(warning_at(experiment, "train.init_from", "",
                                  "`train.init_from`: latent weights of a " + source.method +
                                      " run; not the network that was scored",
                                  "name a float run where a float network is meant", doubtful));
  }
  const std::string theirs = normalization_text(source.keys);
  const std::string ours = normalization_text(experiment.result_keys());
  if (theirs == ours) return;
  warnings.push_back(warning_at(
      experiment, "augment", "train.init_from",
      "[augment] normalizes the images otherwise than the run that train.init_from names: here " +
          ours + "; there " + theirs,
      "give [augment] what stands in " + (source.run / "resolved.toml").string(), doubtful));
}

/// Digits beyond the third differ with how the same set was measured.
bool nearly_equal(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr double tolerance = 1e-3;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](double x, double y) { return std::abs(x - y) <= tolerance; });
}

void warn_of_published(const config::Experiment& experiment, const RunFacts& facts,
                       Diagnostics& warnings) {
  const PublishedNormalization& there = *facts.published;
  if (there.mean.empty() || facts.mean.size() != there.mean.size()) return;
  if (nearly_equal(facts.mean, there.mean) && nearly_equal(facts.deviation, there.deviation)) {
    return;
  }
  const std::string mean = numbers_text(there.mean, 4),
                    deviation = numbers_text(there.deviation, 4);
  warnings.push_back(
      warning_at(experiment, "augment", "train.init_from",
                 "[augment] normalizes the images otherwise than " + there.source + ": here mean " +
                     numbers_text(facts.mean, 4) + ", std " + numbers_text(facts.deviation, 4) +
                     "; there mean " + mean + ", std " + deviation,
                 "set augment.mean = " + mean + " and augment.std = " + deviation, doubtful));
}

void warn_of_drawn_layers(const config::Experiment& experiment, Diagnostics& warnings) {
  if (experiment.train.integer("epochs") > 0) return;
  if (experiment.train.strings("init_except").empty()) return;
  warnings.push_back(warning_at(
      experiment, "train.init_except", "train.epochs",
      "`train.init_except` with train.epochs = 0: these layers are scored as they are drawn",
      "set train.epochs, or leave train.init_except out", doubtful));
}

}  // namespace

config::Diagnostic warning_at(const config::Experiment& experiment, const std::string& key,
                              const std::string& other, const std::string& message,
                              const std::string& help, const char* code) {
  config::Diagnostic warning = experiment.diagnostic_at(key, message, {help}, code);
  warning.severity = config::Severity::warning;
  if (other.empty()) return warning;
  const config::Origin origin = experiment.origin(other);
  if (origin.kind != config::Origin::Kind::default_value) {
    warning.secondary.push_back({origin.value, "does not go with this"});
  }
  return warning;
}

std::vector<config::Diagnostic> warnings_of(const config::Experiment& experiment,
                                            const RunFacts& facts) {
  Diagnostics warnings;
  warn_of_schedule(experiment, facts.images, warnings);
  warn_of_epochs(experiment, warnings);
  if (facts.images) warn_of_steps(experiment, *facts.images, warnings);
  warn_of_threads(experiment, warnings);
  if (facts.summary != nullptr) warn_of_bytes(experiment, *facts.summary, warnings);
  if (facts.images && facts.calibrates) warn_of_calibration(experiment, *facts.images, warnings);
  if (facts.source) warn_of_source(experiment, *facts.source, warnings);
  if (facts.published) warn_of_published(experiment, facts, warnings);
  warn_of_drawn_layers(experiment, warnings);
  return warnings;
}

}  // namespace qhost::jobs
