#include "jobs/run.h"

#include <ATen/Parallel.h>

#include <optional>

#include "common/version.h"
#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/initial_weights.h"
#include "jobs/open_run.h"
#include "jobs/parent_run.h"
#include "jobs/preflight.h"
#include "jobs/requirements.h"
#include "jobs/surroundings.h"
#include "model/layer_plans.h"
#include "qhost/error.h"
#include "report/summary.h"
#include "runs/checkpoint.h"
#include "runs/run_directory.h"
#include "storage/atomic_file.h"
#include "training/batch_sizes.h"
#include "training/failure.h"
#include "training/interrupt.h"
#include "training/trainer.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;

/// The object in the file; an empty one if the file is missing or damaged.
nlohmann::json read_json(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return nlohmann::json::object();
  auto json = nlohmann::json::parse(storage::read_file(file), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : nlohmann::json::object();
}

void write_json(const fs::path& file, const nlohmann::json& json) {
  storage::write_file_atomically(file, json.dump(2) + "\n");
}

std::int64_t newest_step(const runs::RunDirectory& run) {
  const std::vector<std::int64_t> steps = runs::checkpoint_steps(run.checkpoints());
  return steps.empty() ? 0 : steps.front();
}

/// Refuses a finished run without a finite loss. Older builds did not check the loss.
void require_sound_result(const runs::RunResult& result, const fs::path& run) {
  if (!result.has_no_finite_loss()) return;
  throw Error(ErrorKind::diverged,
              run.string() +
                  " is called finished, but its test loss is not finite\nhelp: "
                  "`qhost eval " +
                  run.string() +
                  "` names the cause; change what it advises, and start a new "
                  "run without --resume");
}

/// The step of the parent's best weights, -1 without any.
std::int64_t best_step(const ParentRun& parent) {
  const auto best = runs::load_best(parent.run / "checkpoints");
  return best ? best->step : -1;
}

/// Returns messages for the user.
std::vector<std::string> begin_child(training::Trainer& trainer, const ParentRun& parent,
                                     const Continuation& plan, const runs::RunDirectory& run) {
  std::vector<std::string> said;
  const std::int64_t best =
      training::LoopState::from_json(parent.checkpoint->state.at("loop")).best_epoch;
  const bool has_best = inherit(parent, run, best);
  trainer.continue_from(*parent.checkpoint, plan.step, has_best);
  said.push_back(to_text(parent, plan));
  // If the evaluation of the checkpoint's epoch is pending, it selects that epoch again.
  const bool chosen_again = trainer.state().evaluation_pending && best_step(parent) == parent.step;
  if (!has_best && !chosen_again) {
    said.push_back(
        "warning: the run's best weights are of a later epoch than its checkpoint: the "
        "best epoch is chosen anew from here on");
  }
  return said;
}

runs::RunResult begin_result(const config::Experiment& experiment, const Model& model,
                             const data::Dataset& data, const runs::RunDirectory& run,
                             runs::RunResult result) {
  const report::Summary summary =
      report::summarize(model.graph(), layer_plans(model.graph(), model.plan()));
  result.run_dir = run.path().string();
  result.name = experiment.name;
  result.qhost = version();
  result.commit = commit();
  result.quantized_layers = summary.quantized_weights;
  result.quantized_inputs = summary.quantized_inputs;
  result.parameters = summary.parameters;
  result.macs = summary.macs;
  result.weight_bytes = summary.weight_bytes;
  result.float_weight_bytes = summary.float_weight_bytes;
  result.bits_per_weight = summary.bits_per_weight;
  result.bits_per_input = summary.bits_per_input;
  result.verified = nlohmann::json();
  result.data = data.name;
  result.data_remark = data.remark;
  result.dataset_provenance = data.provenance;
  return result;
}

/// The result of a run that is over, with its current path: a folder of runs may be moved or
/// copied.
runs::RunResult kept_result(const runs::RunDirectory& run) {
  runs::RunResult result = runs::read_run_result(run.result(), "continue the run with --resume")
                               .value_or(runs::RunResult());
  result.run_dir = run.path().string();
  return result;
}

/// Written in this order: a directory with resolved.toml is a run that can be resumed.
void record_beginning(const runs::RunDirectory& run, const nlohmann::json& here,
                      const nlohmann::json& identity,
                      const std::optional<Continuation>& continuation,
                      const config::Experiment& experiment) {
  write_json(run.environment(), here);
  write_json(run.identity(), identity);
  if (continuation) write_parent(run.path(), continuation->record);
  storage::write_file_atomically(run.resolved(), experiment.resolved_toml());
}

/// Adds the run's origin to `result`.
void add_origin(const runs::RunDirectory& run, runs::RunResult& result) {
  if (const nlohmann::json record = read_parent(run.path()); !record.is_null()) {
    result.parent = record;
  }
  if (fs::exists(run.init_from())) {
    const nlohmann::json source = read_json(run.init_from());
    result.init_from = {.file = source.value("file", ""), .sha256 = source.value("sha256", "")};
  }
}

/// Adds the final evaluation to `result`.
void add_metrics(training::Trainer& trainer, const data::Dataset& data,
                 training::Progress& progress, runs::RunResult& result) {
  const training::EvaluationResult evaluation = trainer.test();
  const training::MetricsResult& test = evaluation.metrics;
  result.test_accuracy = test.top1;
  result.test_top5_accuracy = test.top5;
  result.test_loss = test.loss;
  result.test_loss_without_label_smoothing = test.unsmoothed_loss;
  result.test_samples = test.samples;
  result.test_per_class.emplace();
  for (const training::ClassCount& count : test.per_class) {
    result.test_per_class->push_back({count.correct, count.samples});
  }
  if (evaluation.before_recalibration) {
    result.test_accuracy_before_bn_recalibration = evaluation.before_recalibration->top1;
    result.test_loss_before_bn_recalibration = evaluation.before_recalibration->loss;
    result.bn_recalibration_batches = evaluation.recalibration_batches;
  }
  result.selected_by = trainer.selected_by();
  if (trainer.state().best_epoch < 0) return;
  result.best_epoch = trainer.state().best_epoch + 1;
  result.validation_accuracy = trainer.state().best_accuracy;
  result.validation_is_test_images = data.validation_is_test_images;
  if (data.validation_is_test_images) {
    progress.note("warning: the validation images of " + data.name +
                  " are also test images, so that the choice of the best epoch has seen them");
  }
}

void write_result(const runs::RunDirectory& run, const runs::RunResult& result,
                  training::Progress& progress) {
  write_json(run.result(), to_json(result));
  if (const std::string why = run.point_latest(); !why.empty()) progress.note("warning: " + why);
}

RunOutcome interrupted(const runs::RunDirectory& run, runs::RunResult result,
                       training::Progress& progress) {
  result.status = "interrupted";
  try {
    write_result(run, result, progress);
  } catch (const Error& error) {
    progress.note(std::string("result.json was not written: ") + error.what());
  }
  return {.result = std::move(result), .exit_code = static_cast<int>(ErrorKind::interrupted)};
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

RunOutcome run_experiment(const config::Experiment& experiment, const RunRequest& request,
                          Registry& registry, training::Progress& progress) {
  const training::InterruptGuard interrupts;
  training::set_steps_for_signals(0, -1);
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  // All errors of the experiment are found before a directory is created.
  const std::unique_ptr<Model> model = build_model(experiment, registry);
  require_possible(experiment, model->graph(), model->plan());
  for (const std::string& warning : model->plan().warnings) progress.note("warning: " + warning);

  // Load the data before choosing a directory: its bytes are part of the run's identity.
  std::optional<data::Dataset> loaded;
  std::optional<Error> no_data;
  if (request.data == nullptr) {
    try {
      loaded = load_data(experiment);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      no_data = error;
    }
  }
  training::InterruptGuard::stop_if_asked();
  const data::Dataset* found_data = request.data != nullptr ? request.data
                                    : loaded                ? &*loaded
                                                            : nullptr;
  runs::RunIdentity identity =
      identity_of(experiment, registry, found_data, no_data ? no_data->what() : "");
  std::optional<ParentRun> parent;
  if (!request.continue_run.empty()) {
    std::vector<std::string> complaints;
    parent = open_parent(request.continue_run, request.checkpoint, experiment,
                         request.resume == "auto", registry, complaints);
    for (const std::string& complaint : complaints) progress.note(complaint);
    identity.sha256["parent"] = parent->sha256;
  }
  FoundRun found = find_run(experiment, request, identity, registry);
  for (const std::string& note : found.notes) progress.note(note);
  if (found.finished) {
    runs::RunResult result = kept_result(*found.directory);
    require_sound_result(result, found.directory->path());
    return {.result = std::move(result), .exit_code = 0, .was_finished = true};
  }
  if (found.failed && request.skip_failed) {
    runs::RunResult result = kept_result(*found.directory);
    // Versions without an exit code recorded divergence only.
    const auto code = result.exit_code.value_or(static_cast<int>(ErrorKind::diverged));
    return {.result = std::move(result), .exit_code = static_cast<int>(code), .was_skipped = true};
  }
  if (no_data) throw *no_data;
  const data::Dataset& data = *found_data;

  // The source of the weights may be gone when a run that already has them is resumed.
  const bool continues =
      found.begun && !runs::checkpoint_steps(found.directory->checkpoints()).empty();
  training::BatchUses uses = training::batch_uses(experiment, model->plan().needs_calibration);
  uses.calibration = uses.calibration && !parent && !continues;
  training::require_batches(experiment, model->graph(), data.train.count(), uses);
  std::optional<InitialWeights> weights;
  std::optional<Continuation> continuation;
  if (parent && !continues) {
    load_checkpoint(*parent);
    continuation = plan_continuation(*parent, experiment, identity, data,
                                     request.allow_other_plugins, registry);
    for (const std::string& note : continuation->notes) progress.note("note: " + note);
  } else if (!experiment.train.string("init_from").empty() && !continues) {
    weights = read_initial_weights(experiment, registry, *model);
  }

  // All refusals are behind: create the directory.
  if (!found.directory) found.directory = make_run(experiment, request);
  runs::RunDirectory& run = *found.directory;
  runs::RunResult result = begin_result(experiment, *model, data, run, request.known);
  result.allowed = found.allowed;
  std::optional<training::Trainer> trainer;
  const auto count = [&] {
    if (!trainer) return;
    result.epochs = trainer->epochs_done();
    result.steps = trainer->state().step;
  };
  try {
    const nlohmann::json here =
        surroundings(experiment, registry, model->options(), request.command_line);
    if (!found.begun) {
      record_beginning(run, here, to_json(identity, found.allowed), continuation, experiment);
      progress.note("run directory: " + run.path().string());
    } else {
      write_json(run.identity(), to_json(runs::completed(identity, runs::read_identity(run.path())),
                                         found.allowed));
      const std::string changes = changed_surroundings(read_json(run.environment()), here,
                                                       plugins_of(experiment, registry));
      if (!changes.empty()) {
        progress.note("warning: since this run began these changed, so that what follows step " +
                      std::to_string(newest_step(run)) +
                      " may differ from an uninterrupted run, in its last bits or more:" + changes);
      }
    }
    for (const std::string& warning :
         run_warnings(experiment, model->graph(), model->plan(), data.train.count(),
                      weights ? &*weights : nullptr)) {
      progress.note(warning);
    }
    if (!data.remark.empty()) progress.note(data.name + ": " + data.remark);
    for (const std::string& note : data.notes) progress.note("note: " + note);

    trainer.emplace(experiment, *model, data, run, progress);
    if (found.begun && trainer->restore()) {
      progress.note("resuming " + run.path().string() + " at step " +
                    std::to_string(trainer->state().step) + " of " +
                    std::to_string(trainer->total_steps()));
    } else if (continuation) {
      for (const std::string& sentence : begin_child(*trainer, *parent, *continuation, run)) {
        progress.note(sentence);
      }
    } else {
      storage::cut_json_lines(run.metrics(), 0);
      if (weights) write_json(run.init_from(), record(*weights, *model));
      trainer->start(weights ? &weights->tensors : nullptr);
    }
    add_origin(run, result);
    if (trainer->run() == training::Outcome::interrupted) throw training::Interrupted();
    if (trainer->storage_failure()) {
      throw Error(ErrorKind::storage,
                  "the run is over but its last checkpoint could not be written: " +
                      *trainer->storage_failure() +
                      "\nhelp: make room and run the same command with --resume "
                      "auto: it continues from the checkpoint before");
    }
    add_metrics(*trainer, data, progress, result);
    count();
    result.status = "finished";
    write_result(run, result, progress);
  } catch (const training::Interrupted&) {
    count();
    return interrupted(run, std::move(result), progress);
  } catch (...) {
    count();
    training::fail_run(run, std::move(result), progress);
  }
  return {.result = std::move(result), .exit_code = 0};
}

}  // namespace qhost::jobs
