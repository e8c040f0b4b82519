#include "jobs/run.h"

#include <ATen/Parallel.h>

#include <optional>

#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/initial_weights.h"
#include "jobs/parent_run.h"
#include "jobs/preflight.h"
#include "jobs/requirements.h"
#include "jobs/resume.h"
#include "jobs/run_record.h"
#include "jobs/surroundings.h"
#include "qhost/error.h"
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

std::int64_t newest_step(const runs::RunDirectory& run) {
  const std::vector<std::int64_t> steps = runs::checkpoint_steps(run.checkpoints());
  return steps.empty() ? 0 : steps.front();
}

/// Refuses a finished run without a finite loss. Older builds did not check the loss.
void require_sound_result(const runs::RunResult& result, const fs::path& run) {
  if (!result.has_no_finite_loss()) return;
  throw Error(ErrorKind::diverged,
              run.string() + " is called finished, but its test loss is not finite",
              "`qhost eval " + run.string() +
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

/// One run. Its steps are called in the order of their declaration; all that can be refused is
/// refused before execute() creates the run directory.
class Job {
 public:
  Job(const config::Experiment& experiment, const RunRequest& request, Registry& registry,
      training::Progress& progress)
      : experiment_(experiment), request_(request), registry_(registry), progress_(progress) {}

  /// Builds the network with its quantizer slots.
  void assemble();
  /// Loads the data, whose bytes are part of the run's identity.
  void load();
  /// Finds the run directory that this identity belongs to, if there is one.
  void find();
  /// The outcome, if there is nothing left to do.
  std::optional<RunOutcome> is_over() const;
  /// Reads what a new run starts from: the parent's checkpoint or initial weights.
  void choose_start();
  /// Trains and writes result.json.
  RunOutcome execute();

 private:
  /// Whether the run that was found has a checkpoint to continue from.
  bool continues() const {
    return found_.begun && !runs::checkpoint_steps(found_.directory->checkpoints()).empty();
  }
  void begin();
  void note_changes(const nlohmann::json& here);
  void note_warnings();
  void start();
  void train();
  void count();
  RunOutcome interrupted();

  const config::Experiment& experiment_;
  const RunRequest& request_;
  Registry& registry_;
  training::Progress& progress_;

  std::unique_ptr<Model> model_;
  std::optional<data::Dataset> loaded_;
  const data::Dataset* data_ = nullptr;  ///< null: could not be loaded, see no_data_
  std::optional<Error> no_data_;
  runs::RunIdentity identity_;
  std::optional<ParentRun> parent_;
  FoundRun found_;
  std::optional<InitialWeights> weights_;
  std::optional<Continuation> continuation_;
  runs::RunResult result_;
  std::optional<training::Trainer> trainer_;
};

void Job::assemble() {
  model_ = build_model(experiment_, registry_);
  require_possible(experiment_, model_->graph(), model_->plan());
  for (const std::string& warning : plan_warnings(experiment_, model_->plan())) {
    progress_.note(warning);
  }
}

void Job::load() {
  data_ = request_.data;
  if (data_ == nullptr) {
    try {
      loaded_ = load_data(experiment_);
      data_ = &*loaded_;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      no_data_ = error;
    }
  }
  training::InterruptGuard::stop_if_asked();
}

void Job::find() {
  identity_ = identity_of(experiment_, registry_, data_, no_data_ ? no_data_->what() : "");
  if (!request_.continue_run.empty()) {
    std::vector<std::string> complaints;
    parent_ = open_parent(request_.continue_run, request_.checkpoint, experiment_,
                          request_.resume == "auto", registry_, complaints);
    for (const std::string& complaint : complaints) progress_.note(complaint);
    identity_.sha256["parent"] = parent_->sha256;
  }
  found_ = find_run(experiment_, request_, identity_, registry_);
  for (const std::string& note : found_.notes) progress_.note(note);
}

std::optional<RunOutcome> Job::is_over() const {
  if (found_.finished) {
    runs::RunResult result = kept_result(*found_.directory);
    require_sound_result(result, found_.directory->path());
    return RunOutcome{.result = std::move(result), .exit_code = 0, .was_finished = true};
  }
  if (found_.failed && request_.skip_failed) {
    runs::RunResult result = kept_result(*found_.directory);
    // Versions without an exit code recorded divergence only.
    const auto code = result.exit_code.value_or(static_cast<int>(ErrorKind::diverged));
    return RunOutcome{
        .result = std::move(result), .exit_code = static_cast<int>(code), .was_skipped = true};
  }
  return std::nullopt;
}

void Job::choose_start() {
  if (no_data_) throw *no_data_;
  training::BatchUses uses = training::batch_uses(experiment_, model_->plan().needs_calibration);
  uses.calibration = uses.calibration && !parent_ && !continues();
  training::require_batches(experiment_, model_->graph(), data_->train.count(), uses);
  // The source of the weights may be gone when a run that already has them is resumed.
  if (continues()) return;
  if (parent_) {
    load_checkpoint(*parent_);
    continuation_ = plan_continuation(*parent_, experiment_, identity_, *data_,
                                      request_.allow_other_plugins, registry_);
    for (const std::string& note : continuation_->notes) progress_.note("note: " + note);
  } else if (!experiment_.train.string("init_from").empty()) {
    weights_ = read_initial_weights(experiment_, registry_, *model_);
  }
}

RunOutcome Job::execute() {
  if (!found_.directory) found_.directory = make_run(experiment_, request_);
  const runs::RunDirectory& run = *found_.directory;
  result_ = begin_result(experiment_, *model_, *data_, run, request_.known);
  result_.allowed = found_.allowed;
  try {
    begin();
    note_warnings();
    start();
    train();
    write_result(run, result_, progress_);
  } catch (const training::Interrupted&) {
    count();
    return interrupted();
  } catch (...) {
    count();
    training::fail_run(run, std::move(result_), progress_);
  }
  const bool wrong = result_.verified == nlohmann::json(false);
  return {.result = std::move(result_),
          .exit_code = wrong ? static_cast<int>(ErrorKind::verification) : 0};
}

/// Records what the run begins from, or what has changed since it began.
void Job::begin() {
  const runs::RunDirectory& run = *found_.directory;
  const nlohmann::json here =
      surroundings(experiment_, registry_, model_->options(), request_.command_line);
  if (!found_.begun) {
    record_beginning(run, here, to_json(identity_, found_.allowed), continuation_, experiment_);
    progress_.note("run directory: " + run.path().string());
    return;
  }
  write_json(run.identity(),
             to_json(runs::completed(identity_, runs::read_identity(run.path())), found_.allowed));
  note_changes(here);
}

void Job::note_changes(const nlohmann::json& here) {
  const runs::RunDirectory& run = *found_.directory;
  const std::string changes =
      changed_surroundings(read_json(run.environment()), here, plugins_of(experiment_, registry_));
  if (changes.empty()) return;
  progress_.note("warning: since this run began these changed, so that what follows step " +
                 std::to_string(newest_step(run)) +
                 " may differ from an uninterrupted run, in its last bits or more:" + changes);
}

void Job::note_warnings() {
  for (const std::string& warning :
       run_warnings(experiment_, model_->graph(), model_->plan(), data_->train.count(), &*data_,
                    weights_ ? &*weights_ : nullptr)) {
    progress_.note(warning);
  }
  if (!data_->remark.empty()) progress_.note(data_->name + ": " + data_->remark);
  for (const std::string& note : data_->notes) progress_.note("note: " + note);
}

/// Sets the trainer to its first step: of the run's checkpoint, of the parent's, or of a new run.
void Job::start() {
  const runs::RunDirectory& run = *found_.directory;
  trainer_.emplace(experiment_, *model_, *data_, run, progress_);
  if (found_.begun && trainer_->restore()) {
    progress_.note("resuming " + run.path().string() + " at step " +
                   std::to_string(trainer_->state().step) + " of " +
                   std::to_string(trainer_->total_steps()));
  } else if (continuation_) {
    for (const std::string& sentence : begin_child(*trainer_, *parent_, *continuation_, run)) {
      progress_.note(sentence);
    }
  } else {
    storage::cut_json_lines(run.metrics(), 0);
    if (weights_) write_json(run.init_from(), record(*weights_, *model_));
    if (weights_) {
      trainer_->start(&weights_->tensors, weights_->drawn);
    } else {
      trainer_->start();
    }
  }
  add_origin(run, result_);
}

void Job::train() {
  if (trainer_->run() == training::Outcome::interrupted) throw training::Interrupted();
  if (trainer_->storage_failure()) {
    throw Error(ErrorKind::storage,
                "the run is over but its last checkpoint could not be written: " +
                    *trainer_->storage_failure(),
                "make room and run the same command with --resume auto: it continues from the "
                "checkpoint before");
  }
  add_metrics(*trainer_, *data_, progress_, result_);
  count();
  add_verification(experiment_, *model_, *data_, *trainer_, progress_, result_);
  result_.status = "finished";
}

void Job::count() {
  if (!trainer_) return;
  result_.epochs = trainer_->epochs_done();
  result_.steps = trainer_->state().step;
  const training::RunSeconds seconds = trainer_->seconds();
  result_.seconds = {seconds.training, seconds.evaluation, seconds.test};
}

RunOutcome Job::interrupted() {
  result_.status = "interrupted";
  try {
    write_result(*found_.directory, result_, progress_);
  } catch (const Error& error) {
    progress_.note(std::string("result.json was not written: ") + error.what());
  }
  return {.result = std::move(result_), .exit_code = static_cast<int>(ErrorKind::interrupted)};
}

/// Where the data lie may differ from machine to machine; all else is the run's.
void require_place_alone(const fs::path& run, const std::vector<std::string>& overrides) {
  for (const std::string& override : overrides) {
    if (override.starts_with("data.root=")) continue;
    throw Error(ErrorKind::configuration,
                "`" + override + "` would change " + run.string() +
                    ", a run that was made with other values",
                "of a run only data.root=FOLDER can be given, the place of its data set; an "
                "experiment file takes every KEY=VALUE");
  }
}

}  // namespace

config::Experiment experiment_of_run(const fs::path& run, Registry& registry,
                                     const std::vector<std::string>& overrides) {
  require_place_alone(run, overrides);
  ComponentCatalog catalog(registry);
  const fs::path file = run / "resolved.toml";
  if (!fs::exists(file)) {
    throw Error(ErrorKind::configuration,
                run.string() + " is no run directory: it has no resolved.toml",
                "runs lie in runs/NAME/, the newest is runs/NAME/latest");
  }
  auto points = config::load_experiment_or_throw(file, overrides, catalog);
  return std::move(points.at(0).experiment);
}

RunOutcome run_experiment(const config::Experiment& experiment, const RunRequest& request,
                          Registry& registry, training::Progress& progress) {
  const training::InterruptGuard interrupts;
  training::set_steps_for_signals(0, -1);
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  Job job(experiment, request, registry, progress);
  job.assemble();
  job.load();
  job.find();
  if (auto over = job.is_over()) return std::move(*over);
  job.choose_start();
  return job.execute();
}

}  // namespace qhost::jobs
