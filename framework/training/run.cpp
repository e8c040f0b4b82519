#include "training/run.h"
#include "training/requirements.h"

#include <torch/version.h>
#include <chrono>
#include <cmath>
#include <fstream>
#include <optional>

#include "config/load.h"
#include "qhost/error.h"
#include "report/summary.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint.h"
#include "storage/environment.h"
#include "storage/run_directory.h"
#include "training/assemble.h"
#include "training/catalog.h"
#include "training/initial_weights.h"
#include "training/trainer.h"

namespace qhost::training {
namespace {

namespace fs = std::filesystem;

/// "  train.epochs: 30 in the run, 20 now" for each key that differs; "" when none does.
std::string differences(const config::Experiment& before, const config::Experiment& now) {
  const auto old_keys = before.result_keys(), new_keys = now.result_keys();
  std::string text;
  const auto value = [](const std::map<std::string, std::string>& keys, const std::string& key) {
    const auto found = keys.find(key);
    return found == keys.end() ? std::string("not there") : found->second;
  };
  std::map<std::string, int> all;
  for (const auto& [key, unused] : old_keys) all[key] = 0;
  for (const auto& [key, unused] : new_keys) all[key] = 0;
  for (const auto& [key, unused] : all) {
    if (value(old_keys, key) == value(new_keys, key)) continue;
    text += "\n  " + key + ": " + value(old_keys, key) + " in the run, " + value(new_keys, key) +
            " now";
  }
  return text;
}

nlohmann::json read_json(const fs::path& file) {
  return nlohmann::json::parse(storage::read_file(file), nullptr, /*allow_exceptions=*/false);
}

void write_json(const fs::path& file, const nlohmann::json& json) {
  storage::write_file_atomically(file, json.dump(2) + "\n");
}

nlohmann::json environment(const config::Experiment& experiment, const RunRequest& request,
                           Registry& registry, const ModelOptions& model) {
  storage::EnvironmentInput input;
  input.torch_version = TORCH_VERSION;
  input.command_line = request.command_line;
  input.experiment_folder = fs::absolute(experiment.file).parent_path();
  nlohmann::json facts = storage::environment_facts(input);
  facts["threads"] = at::get_num_threads();
  facts["device"] = c10::DeviceTypeName(model.device.type(), /*lower_case=*/true);
  facts["aten_cpu_capability"] = at::get_cpu_capability();
  facts["insecure_plugins_allowed"] = registry.insecure_allowed();
  facts["plugins"] = nlohmann::json::array();
  for (const Registry::Loaded& plugin : registry.loaded()) {
    facts["plugins"].push_back({{"name", plugin.name},
                                {"version", plugin.version},
                                {"path", plugin.path.string()},
                                {"sha256", plugin.sha256}});
  }
  return facts;
}

/// What changed on the machine since the run began: it may change the last bits of the rest.
std::string environment_changes(const nlohmann::json& before, const nlohmann::json& now) {
  std::string text;
  for (const char* key : {"qhost", "libtorch", "device", "aten_cpu_capability", "plugins"}) {
    const nlohmann::json old_value = before.value(key, nlohmann::json());
    const nlohmann::json new_value = now.value(key, nlohmann::json());
    if (old_value == new_value) continue;
    text += std::string("\n  ") + key;
    if (!old_value.is_structured() && !new_value.is_structured()) {
      text += ": " + old_value.dump() + " then, " + new_value.dump() + " now";
    }
  }
  return text;
}

struct Opened {
  storage::RunDirectory directory;
  bool existed = false;
  bool finished = false;
};

void require_same_configuration(const fs::path& run, const config::Experiment& experiment,
                                Registry& registry) {
  const std::string other = differences(experiment_of_run(run, registry), experiment);
  if (other.empty()) return;
  throw Error(ErrorKind::configuration,
              run.string() + " was begun with another configuration:" + other +
                  "\nhelp: give the same values, or start a new run without --resume");
}

/// A run that was killed before it wrote its configuration has nothing to continue from: its
/// directory is used as a new one.
Opened open_existing(const fs::path& path, const config::Experiment& experiment,
                     Registry& registry) {
  Opened opened{storage::RunDirectory::open(path), true, false};
  storage::RunDirectory& run = opened.directory;
  const auto begun = [&] {
    return fs::exists(run.resolved()) || !storage::checkpoint_steps(run.checkpoints()).empty();
  };
  const bool was_begun = begun();
  if (was_begun) require_same_configuration(run.path(), experiment, registry);
  run.lock();
  if (!was_begun && begun()) require_same_configuration(run.path(), experiment, registry);
  opened.existed = begun();
  opened.finished = storage::run_info(run.path()).status == "finished";
  return opened;
}

Opened open_directory(const config::Experiment& experiment, const RunRequest& request,
                      Registry& registry) {
  const fs::path root = storage::runs_root(request.runs_dir);
  if (!request.run_dir.empty()) {
    if (fs::exists(request.run_dir)) return open_existing(request.run_dir, experiment, registry);
    return {storage::RunDirectory::create_at(request.run_dir), false, false};
  }
  if (request.resume == "auto") {
    for (const storage::RunInfo& info : storage::list_runs(root, experiment.name)) {
      std::string other;
      try {
        other = differences(experiment_of_run(info.path, registry), experiment);
      } catch (const Error&) {
        continue;  // a run whose configuration cannot be read any more is not this one
      }
      if (other.empty()) return open_existing(info.path, experiment, registry);
    }
  } else if (!request.resume.empty()) {
    return open_existing(request.resume, experiment, registry);
  }
  return {storage::RunDirectory::create(root, experiment.name), false, false};
}

nlohmann::json base_result(const config::Experiment& experiment, const Model& model,
                           const data::Dataset& data, const storage::RunDirectory& run) {
  const report::Summary summary =
      report::summarise(model.graph(), layer_plans(model.graph(), model.plan()));
  nlohmann::json result = {{"run_dir", run.path().string()},
                           {"name", experiment.name},
                           {"quantized_layers", summary.quantized_weights},
                           {"quantized_inputs", summary.quantized_inputs},
                           {"parameters", summary.parameters},
                           {"macs", summary.macs},
                           {"weight_bytes", summary.weight_bytes},
                           {"float_weight_bytes", summary.float_weight_bytes},
                           {"bits_per_weight", summary.bits_per_weight},
                           {"verified", nullptr},
                           {"data", data.name},
                           {"data_remark", data.remark}};
  return result;
}

}  // namespace

config::Experiment experiment_of_run(const fs::path& run, Registry& registry) {
  ComponentCatalog catalog(registry);
  const fs::path file = run / "resolved.toml";
  if (!fs::exists(file)) {
    throw Error(ErrorKind::configuration, run.string() +
                                              " is no run directory: it has no resolved.toml\n"
                                              "help: runs lie in runs/NAME/, the newest is "
                                              "runs/NAME/latest");
  }
  auto points = config::load_experiment_or_throw(file, {}, catalog);
  return std::move(points.at(0).experiment);
}

RunResult run_experiment(const config::Experiment& experiment, const RunRequest& request,
                         Registry& registry, Progress& progress) {
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  // All that can be wrong with the experiment is found before a directory is made.
  const std::unique_ptr<Model> model = build_model(experiment, registry);
  require_possible(experiment, model->graph(), model->plan());
  for (const std::string& warning : model->plan().warnings) progress.note("warning: " + warning);

  Opened opened = open_directory(experiment, request, registry);
  storage::RunDirectory& run = opened.directory;
  if (opened.finished) {
    return {.json = read_json(run.result()), .exit_code = 0, .was_finished = true};
  }
  data::Dataset loaded;
  try {
    if (request.data == nullptr) loaded = load_data(experiment);
  } catch (...) {
    // Nothing was computed: an empty directory would only be in the way.
    if (!opened.existed) run.discard();
    throw;
  }
  const data::Dataset& data = request.data != nullptr ? *request.data : loaded;

  // The source may be gone when a run that has its weights by now is continued.
  const bool continues = !storage::checkpoint_steps(run.checkpoints()).empty();
  const auto weights = [&]() -> std::optional<InitialWeights> {
    if (experiment.train.string("init_from").empty() || continues) return {};
    try {
      return read_initial_weights(experiment, registry, *model);
    } catch (...) {
      if (!opened.existed) run.discard();
      throw;
    }
  }();

  const nlohmann::json surroundings = environment(experiment, request, registry, model->options());
  if (!opened.existed) {
    // In this order: a directory with resolved.toml is a run that can be continued.
    write_json(run.environment(), surroundings);
    storage::write_file_atomically(run.resolved(), experiment.resolved_toml());
    progress.note("run directory: " + run.path().string());
  } else {
    const std::string changes = environment_changes(read_json(run.environment()), surroundings);
    if (!changes.empty()) {
      progress.note(
          "warning: since this run began these changed, so that its last bits may "
          "differ from an uninterrupted one:" +
          changes);
    }
  }

  if (!data.remark.empty()) progress.note(data.name + ": " + data.remark);
  for (const std::string& note : data.notes) progress.note("note: " + note);
  nlohmann::json result = base_result(experiment, *model, data, run);
  result["dataset_provenance"] = data.provenance;
  result.update(request.facts);
  Trainer trainer(experiment, *model, data, run, progress);
  if (opened.existed && trainer.restore()) {
    progress.note("resuming " + run.path().string() + " at step " +
                  std::to_string(trainer.state().step) + " of " +
                  std::to_string(trainer.total_steps()));
  } else {
    storage::cut_json_lines(run.metrics(), 0);
    if (weights) write_json(run.init_from(), record(*weights, *model));
    trainer.start(weights ? &*weights : nullptr);
  }
  if (fs::exists(run.init_from())) {
    const nlohmann::json source = read_json(run.init_from());
    result["init_from"] = {{"file", source.at("file")}, {"sha256", source.at("sha256")}};
  }

  const auto stop_with = [&](const char* status) {
    result["status"] = status;
    result["epochs"] = trainer.epochs_done();
    result["steps"] = trainer.state().step;
    write_json(run.result(), result);
  };
  try {
    if (trainer.run() == Outcome::interrupted) {
      stop_with("interrupted");
      return {.json = result, .exit_code = static_cast<int>(ErrorKind::interrupted)};
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::diverged) stop_with("diverged");
    throw;
  }
  if (trainer.storage_failure()) {
    throw Error(ErrorKind::storage,
                "the run is over but its last checkpoint could not be written: " +
                    *trainer.storage_failure() +
                    "\nhelp: make room and run the same command with --resume "
                    "auto: it continues from the checkpoint before");
  }

  const FinalFigures figures = trainer.test();
  const MetricsResult& test = figures.metrics;
  result["test_accuracy"] = test.top1;
  result["test_top5_accuracy"] = test.top5;
  result["test_loss"] = test.loss;
  result["test_samples"] = test.samples;
  result["test_per_class"] = training::to_json(test).at("per_class");
  if (figures.before_recalibration) {
    result["test_accuracy_before_bn_recalibration"] = figures.before_recalibration->top1;
    result["test_loss_before_bn_recalibration"] = figures.before_recalibration->loss;
    result["bn_recalibration_batches"] = figures.recalibration_batches;
  }
  result["selected_by"] = trainer.selected_by();
  if (trainer.state().best_epoch >= 0) {
    result["best_epoch"] = trainer.state().best_epoch + 1;
    result["validation_accuracy"] = trainer.state().best_accuracy;
    result["validation_is_test_images"] = data.validation_is_test_images;
    if (data.validation_is_test_images) {
      progress.note("warning: the validation images of " + data.name +
                    " are also test images, so that the choice of the best epoch has seen them");
    }
  }
  stop_with("finished");
  return {.json = result, .exit_code = 0};
}

}  // namespace qhost::training
