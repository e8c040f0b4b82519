#include "training/trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "qhost/error.h"
#include "storage/failpoint.h"
#include "storage/tensor_bytes.h"
#include "training/divergence.h"
#include "training/failure.h"
#include "training/gradient_norm.h"
#include "training/interrupt.h"
#include "training/plain_batches.h"

namespace qhost::training {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<TrainableParameter> trainable(const Model& model, const Options& optimizer) {
  const double decay = optimizer.real("weight_decay");
  const bool on_all = optimizer.string("weight_decay_on") == "all";
  std::vector<TrainableParameter> parameters;
  for (const NamedTensor& entry : model.state()) {
    if (!entry.trainable) continue;
    parameters.push_back(
        {.name = entry.name,
         .tensor = entry.tensor,
         .learning_rate_multiplier = entry.learning_rate_multiplier,
         .weight_decay = entry.weight_decay.value_or(on_all || entry.decayed ? decay : 0.0)});
  }
  return parameters;
}

std::uint64_t seed_of(const Options& train) {
  return static_cast<std::uint64_t>(train.integer("seed"));
}

void reset_epoch_sums(LoopState& state) {
  state.epoch_loss = 0;
  state.epoch_correct = state.epoch_images = 0;
}

}  // namespace

Progress::~Progress() = default;

void Progress::activity(const ActivityReport&) {}

nlohmann::json LoopState::to_json() const {
  return {{"step", step},
          {"epoch_loss", epoch_loss},
          {"epoch_correct", epoch_correct},
          {"epoch_images", epoch_images},
          {"best_accuracy", best_accuracy},
          {"best_loss", best_loss},
          {"best_epoch", best_epoch},
          {"evaluation_pending", evaluation_pending}};
}

LoopState LoopState::from_json(const nlohmann::json& json) {
  LoopState state;
  json.at("step").get_to(state.step);
  json.at("epoch_loss").get_to(state.epoch_loss);
  json.at("epoch_correct").get_to(state.epoch_correct);
  json.at("epoch_images").get_to(state.epoch_images);
  json.at("best_accuracy").get_to(state.best_accuracy);
  json.at("best_loss").get_to(state.best_loss);
  json.at("best_epoch").get_to(state.best_epoch);
  state.evaluation_pending = json.value("evaluation_pending", false);
  return state;
}

Trainer::Trainer(const config::Experiment& experiment, Model& model, const data::Dataset& data,
                 const runs::RunDirectory& run, Progress& progress)
    : experiment_(experiment),
      model_(model),
      data_(data),
      run_(run),
      progress_(progress),
      train_(experiment.train),
      batches_(data.train, data.image, data::augment_options(experiment.augment, data),
               seed_of(train_), train_.integer("batch_size"), /*shuffle=*/true,
               train_.boolean("drop_last")),
      buffer_(data.image, batches_.batch_size(), model.options()),
      optimizer_(make_optimizer(experiment.optimizer.name, experiment.optimizer.options,
                                trainable(model, experiment.optimizer.options))),
      schedule_(make_schedule(experiment.schedule.name, experiment.schedule.options,
                              experiment.optimizer.options.real("learning_rate"),
                              train_.integer("epochs"))),
      evaluation_(evaluation_settings(experiment, data)) {
  total_steps_ = steps_of_run(experiment, batches_.steps_per_epoch());
}

Trainer::~Trainer() = default;

RunPosition Trainer::position() const {
  return {.epoch = state_.step / batches_.steps_per_epoch(),
          .epochs = train_.integer("epochs"),
          .step = state_.step,
          .steps = total_steps_,
          .seed = seed_of(train_)};
}

std::int64_t Trainer::epochs_done() const {
  return state_.step / batches_.steps_per_epoch();
}

std::vector<std::pair<std::string, at::Tensor>> Trainer::latent_weights() const {
  std::vector<std::pair<std::string, at::Tensor>> layers;
  for (const PlannedSlot& slot : model_.plan().slots) {
    if (!slot.weight) continue;
    for (const NamedTensor& entry : model_.state()) {
      if (entry.name == slot.info.node + ".weight") {
        layers.emplace_back(slot.info.node, entry.tensor);
      }
    }
  }
  return layers;
}

void Trainer::start(const std::map<std::string, at::Tensor>* weights,
                    const std::set<std::string>& drawn) {
  state_ = {};
  model_.initialize(position(), weights, drawn);
  calibrate(/*pretrained=*/weights != nullptr);
  sign_flips_.update(latent_weights());
  metrics_ = std::make_unique<storage::JsonLinesWriter>(run_.metrics());
}

void Trainer::calibrate(bool pretrained) {
  const bool watches = model_.plan().needs_calibration, corrects = model_.plan().bias_correction;
  if (!watches && !corrects) return;
  const Doing doing(Activity::calibrating);
  const std::int64_t wanted = experiment_.calibration.integer("batches");
  PlainBatches batches(experiment_, data_, model_.options(), wanted,
                       experiment_.calibration.integer("batch_size"), /*drop_last=*/false);
  if (batches.count() < wanted) {
    progress_.note("calibration: the training set has only " + std::to_string(batches.count()) +
                   " of " + std::to_string(wanted) + " batches");
  }
  RunPosition at = position();
  for (std::int64_t step = 0; watches && step < batches.count(); ++step) {
    InterruptGuard::stop_if_asked();
    at.step = step;
    model_.calibrate(batches.images(step), at, /*batch_statistics=*/!pretrained);
    progress_.activity({.activity = "calibration", .done = step + 1, .of = batches.count()});
  }
  if (corrects) {
    model_.correct_biases(
        batches.count(),
        [&](std::int64_t step) {
          InterruptGuard::stop_if_asked();
          return batches.images(step);
        },
        position());
  }
}

bool Trainer::restore() {
  std::vector<std::string> complaints;
  const auto found = runs::load_newest(run_.checkpoints(), complaints);
  for (const std::string& complaint : complaints) progress_.note(complaint);
  if (!found) return false;
  take(*found);
  saved_step_ = found->step;
  storage::cut_json_lines(run_.metrics(), found->notes.at("metrics_offset").get<std::uint64_t>());
  open_metrics();
  return true;
}

void Trainer::open_metrics() {
  seconds_ = {};
  try {
    for (const nlohmann::json& line : storage::read_json_lines(run_.metrics())) {
      // Older versions did not write the time of an evaluation.
      const double seconds = line.value("seconds", 0.0);
      (line.value("phase", "") == "train" ? seconds_.training : seconds_.evaluation) += seconds;
    }
  } catch (const Error& error) {
    progress_.note(std::string("warning: the times before this session are not known: ") +
                   error.what());
  }
  metrics_ = std::make_unique<storage::JsonLinesWriter>(run_.metrics());
}

void Trainer::take(const runs::LoadedCheckpoint& checkpoint) {
  model_.load(storage::read_tensors(checkpoint.tensors, "model/"));
  optimizer_->restore(storage::read_tensors(checkpoint.tensors, "optimizer/"),
                      checkpoint.state.at("optimizer"));
  sign_flips_.restore(storage::read_tensors(checkpoint.tensors, "signs/"));
  state_ = LoopState::from_json(checkpoint.state.at("loop"));
  epoch_seconds_ = checkpoint.notes.value("epoch_seconds", 0.0);  // older ones have none
}

void Trainer::continue_from(const runs::LoadedCheckpoint& parent, std::int64_t step,
                            bool has_best) {
  take(parent);
  state_.step = step;
  if (state_.evaluation_pending) {
    // The pending evaluation is the parent's, perhaps due only because the parent ended here, and
    // perhaps within an epoch. The child's configuration decides.
    const bool at_edge = step % batches_.steps_per_epoch() == 0;
    state_.evaluation_pending = at_edge && is_due(train_.integer("evaluate_every"));
    if (at_edge && !state_.evaluation_pending) reset_epoch_sums(state_);
  }
  if (!has_best) {
    const LoopState fresh;
    state_.best_accuracy = fresh.best_accuracy;
    state_.best_loss = fresh.best_loss;
    state_.best_epoch = fresh.best_epoch;
  }
  open_metrics();
  checkpoint();
}

nlohmann::json Trainer::checkpoint_state() const {
  return {{"loop", state_.to_json()},
          {"optimizer", optimizer_->counters()},
          {"configuration", experiment_.result_keys()}};
}

nlohmann::json Trainer::checkpoint_notes() const {
  return {{"metrics_offset", metrics_->offset()}, {"epoch_seconds", epoch_seconds_}};
}

Outcome Trainer::run() {
  const InterruptGuard interrupts;
  const Doing doing(Activity::training);
  set_steps_for_signals(state_.step, saved_step_);
  clock_ = {};
  try {
    work();
    return Outcome::finished;
  } catch (const Interrupted&) {
    // After a checkpoint of this step only the evaluation can have run. It is repeated, so that the
    // files stay those of an uninterrupted run.
    if (saved_step_ != state_.step) checkpoint();
    return Outcome::interrupted;
  }
}

void Trainer::work() {
  if (total_steps_ == 0 && state_.step == 0) checkpoint();
  if (state_.evaluation_pending) {
    EpochReport report = epoch_report();
    evaluate_epoch(report);
    progress_.epoch(report);
  }
  while (state_.step < total_steps_) {
    InterruptGuard::stop_if_asked();
    train_step();
    const std::int64_t every = train_.integer("checkpoint_every_steps");
    if (state_.step % batches_.steps_per_epoch() == 0 || state_.step == total_steps_) {
      end_of_epoch();
    } else if (every > 0 && state_.step % every == 0) {
      checkpoint();
    }
  }
}

void Trainer::train_step() {
  const double started = now();
  const RunPosition at = position();
  const std::int64_t per_epoch = batches_.steps_per_epoch();
  const Batch batch = buffer_.fill(batches_, at.epoch, at.step % per_epoch);

  optimizer_->zero_gradients();
  const at::Tensor logits = model_.train(batch.images, at);
  const at::Tensor loss = evaluation_.loss(logits, batch.labels);
  model_.backward(loss);
  const auto loss_value = loss.item<double>();
  fail_if_diverged(loss_value, batch);

  const double clip = train_.real("gradient_clip");
  if (clip > 0) clip_gradient_norm(optimizer_->parameters(), clip);
  optimizer_->step(schedule_.learning_rate(at.step, per_epoch));
  model_.after_step(at);

  const std::int64_t count = batch.labels.size(0);
  {
    const at::NoGradGuard no_grad;
    state_.epoch_loss += loss_value * static_cast<double>(count);
    state_.epoch_correct += logits.argmax(1).eq(batch.labels).sum().item<std::int64_t>();
  }
  state_.epoch_images += count;
  ++state_.step;
  const double seconds = now() - started;
  epoch_seconds_ += seconds;
  clock_.training.add(static_cast<double>(count), seconds);
  set_steps_for_signals(state_.step, saved_step_);
  report_step();
  storage::failpoint("loop.step");
}

void Trainer::fail_if_diverged(double loss, const Batch& batch) {
  if (std::isfinite(loss)) return;
  const RunPosition at = position();
  const std::string layer = model_.first_non_finite(batch.images, at);
  try {
    require_finite_loss(loss, at.epoch, at.step, optimizer_->parameters());
  } catch (const Error& error) {
    if (layer.empty()) throw;
    throw error.with_message(
        error.message() + "\n  in the order of the network the first that is not finite: " + layer);
  }
}

void Trainer::report_step() {
  StepReport report;
  const std::int64_t per_epoch = batches_.steps_per_epoch();
  report.epoch = (state_.step - 1) / per_epoch;
  report.epochs = train_.integer("epochs");
  report.step = state_.step;
  report.steps = total_steps_;
  report.steps_per_epoch = per_epoch;
  const auto images = static_cast<double>(std::max<std::int64_t>(state_.epoch_images, 1));
  report.loss = state_.epoch_loss / images;
  report.accuracy = static_cast<double>(state_.epoch_correct) / images;
  report.learning_rate = schedule_.learning_rate(state_.step - 1, per_epoch);
  report.images_per_second = clock_.training.images_per_second();
  report.seconds_left = seconds_left(0);
  progress_.step(report);
}

double Trainer::seconds_left(double images_being_evaluated) const {
  const EvaluationsLeft left = evaluations_left(
      state_.step, total_steps_, batches_.steps_per_epoch(), train_.integer("evaluate_every"),
      /*recalibrates=*/train_.integer("bn_recalibrate") > 0);
  const data::Split& split = data_.validation.empty() ? data_.test : data_.validation;
  const auto images = [](std::int64_t passes, const data::Split& of) {
    return static_cast<double>(std::max<std::int64_t>(passes, 0) * of.count());
  };
  return clock_.seconds_left(
      static_cast<double>((total_steps_ - state_.step) * batches_.batch_size()),
      images_being_evaluated + images(left.epochs, split) +
          images(left.final - final_passes_, data_.test));
}

RunSeconds Trainer::seconds() const {
  RunSeconds seconds = seconds_;
  seconds.training += epoch_seconds_;
  return seconds;
}

EvaluationWatch Trainer::watch(const std::string& split, std::optional<std::int64_t> epoch) {
  return [this, split, epoch, before = now(), images = std::int64_t(0)](std::int64_t done,
                                                                        std::int64_t of) mutable {
    if (images == of) images = 0;  // the next pass
    if (images == 0 && !epoch) ++final_passes_;
    const double at = now();
    clock_.evaluation.add(static_cast<double>(done - images), at - before);
    before = at;
    images = done;
    progress_.activity({.activity = split,
                        .epoch = epoch,
                        .epochs = train_.integer("epochs"),
                        .done = done,
                        .of = of,
                        .seconds_left = seconds_left(static_cast<double>(of - done))});
  };
}

bool Trainer::is_due(std::int64_t every) const {
  return state_.step == total_steps_ || epochs_done() % every == 0;
}

EpochReport Trainer::epoch_report() const {
  const auto images = static_cast<double>(state_.epoch_images);
  EpochReport report;
  report.epoch = (state_.step - 1) / batches_.steps_per_epoch();
  report.epochs = train_.integer("epochs");
  report.train_loss = state_.epoch_loss / images;
  report.train_accuracy = static_cast<double>(state_.epoch_correct) / images;
  return report;
}

void Trainer::end_of_epoch() {
  EpochReport report = epoch_report();
  write_training_line(report);
  state_.evaluation_pending = is_due(train_.integer("evaluate_every"));
  if (!state_.evaluation_pending) reset_epoch_sums(state_);
  if (is_due(train_.integer("checkpoint_every"))) checkpoint();
  if (state_.evaluation_pending) evaluate_epoch(report);
  progress_.epoch(report);
}

void Trainer::write_training_line(EpochReport& report) {
  report.train_seconds = epoch_seconds_;
  nlohmann::json line = {
      {"phase", "train"},
      {"epoch", report.epoch + 1},
      {"step", state_.step},
      {"loss", report.train_loss},
      {"accuracy", report.train_accuracy},
      {"samples", state_.epoch_images},
      {"learning_rate", schedule_.learning_rate(state_.step - 1, batches_.steps_per_epoch())},
      {"seconds", epoch_seconds_}};
  seconds_.training += epoch_seconds_;
  epoch_seconds_ = 0;
  const SignFlips::Shares flips = sign_flips_.update(latent_weights());
  for (const auto& [layer, share] : flips) line["sign_flips"][layer] = share;
  write_metrics(std::move(line));
}

void Trainer::evaluate_epoch(EpochReport& report) {
  storage::failpoint("loop.pending");
  // The test set is evaluated here only without a validation set, and selects nothing.
  const bool validating = !data_.validation.empty();
  report.evaluated_on = validating ? "validation" : "test";
  nlohmann::json line = {
      {"phase", report.evaluated_on}, {"epoch", report.epoch + 1}, {"step", state_.step}};
  const double started = now();
  try_evaluation(report);
  line["seconds"] = *(report.evaluation_seconds = now() - started);
  seconds_.evaluation += *report.evaluation_seconds;
  if (report.evaluation) {
    line.update(to_json(*report.evaluation));
  } else {
    line["error"] = report.evaluation_error;
  }
  write_metrics(std::move(line));
  if (report.evaluation) {
    const MetricsResult& result = *report.evaluation;
    if (!std::isfinite(result.loss)) {
      progress_.note("warning: the " + report.evaluated_on + " loss of epoch " +
                     std::to_string(report.epoch + 1) +
                     " is not finite: it counts nowhere, and a run that ends so has diverged");
    }
    report.is_best = validating && std::isfinite(result.loss) &&
                     (result.top1 > state_.best_accuracy ||
                      (result.top1 == state_.best_accuracy && result.loss < state_.best_loss));
  }
  storage::failpoint("loop.evaluated");
  reset_epoch_sums(state_);
  state_.evaluation_pending = false;
  if (report.is_best) save_best(*report.evaluation);
}

void Trainer::try_evaluation(EpochReport& report) {
  RunPosition at = position();
  at.epoch = report.epoch;
  try {
    report.evaluation =
        evaluate(model_, report.evaluated_on == "validation" ? data_.validation : data_.test,
                 evaluation_, at, watch(report.evaluated_on, report.epoch));
  } catch (...) {
    const Error failure = failure_of(std::current_exception());
    if (failure.kind() == ErrorKind::interrupted || failure.kind() == ErrorKind::storage) throw;
    report.evaluation_error = failure.what();
    progress_.note("warning: the evaluation of epoch " + std::to_string(report.epoch + 1) +
                   " failed; the training goes on:\n  " + failure.what());
  }
}

void Trainer::write_metrics(nlohmann::json line) {
  try {
    metrics_->append(line);
  } catch (const Error& error) {
    progress_.note(std::string("a line of metrics.jsonl was not written: ") + error.what());
  }
}

void Trainer::add_all(storage::TensorBytes& tensors) const {
  for (const NamedTensor& entry : model_.state()) {
    tensors.add("model/" + entry.name, entry.tensor);
  }
  for (const Optimizer::StateTensor& entry : optimizer_->state()) {
    tensors.add("optimizer/" + entry.name, entry.tensor);
  }
  for (const auto& [layer, signs] : sign_flips_.state()) tensors.add("signs/" + layer, signs);
}

void Trainer::save_best(const MetricsResult& validation) {
  const LoopState before = state_;
  state_.best_accuracy = validation.top1;
  state_.best_loss = validation.loss;
  state_.best_epoch = (state_.step - 1) / batches_.steps_per_epoch();
  storage::TensorBytes tensors;
  add_all(tensors);
  try {
    // Save a complete checkpoint: another run may continue from it (--continue --checkpoint best).
    runs::write_best(run_.checkpoints(), state_.step, tensors.views(), checkpoint_state(),
                     checkpoint_notes());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    state_ = before;  // the recorded best must be the one that `best` holds
    progress_.note(std::string("the best weights were not saved; the run goes on: ") +
                   error.what());
  }
  storage::failpoint("loop.best");
}

void Trainer::checkpoint() {
  try {
    write_checkpoint();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    const std::string which = "the checkpoint of step " + std::to_string(state_.step) + " was not ";
    if (saved_step_ < 0) {
      throw Error(ErrorKind::storage,
                  which +
                      "written, and there is none before it: the run stops, since whatever "
                      "ended it later would take all of it\n  " +
                      error.what());
    }
    storage_failure_ = error.what();
    progress_.note(which + "written; the one of step " + std::to_string(saved_step_) +
                   " is kept and the run goes on:\n  " + error.what());
  }
}

void Trainer::write_checkpoint() {
  require_finite_state();
  metrics_->sync();
  storage::TensorBytes tensors;
  add_all(tensors);
  runs::CheckpointOptions options;
  options.keep = static_cast<int>(train_.integer("keep_checkpoints"));
  // Outside of the hashed part: the lines contain times, whose number of digits varies.
  options.notes = checkpoint_notes();
  runs::write_checkpoint(run_.checkpoints(), state_.step, tensors.views(), checkpoint_state(),
                         options);
  storage_failure_.reset();
  saved_step_ = state_.step;
  set_steps_for_signals(state_.step, saved_step_);
  // If it fails, the warning comes with the result.
  run_.point_latest();
}

void Trainer::require_finite_state() const {
  for (const NamedTensor& entry : model_.state()) {
    if (entry.trainable && !at::isfinite(entry.tensor).all().item<bool>()) {
      throw Error(ErrorKind::diverged,
                  "after step " + std::to_string(state_.step) + " " + entry.name +
                      " holds values that are not finite, so that no checkpoint is written",
                  "lower optimizer.learning_rate, warm up (schedule.warmup_epochs) or clip "
                  "(train.gradient_clip)");
    }
  }
}

std::string Trainer::selected_by() const {
  return state_.best_epoch >= 0 ? "validation accuracy" : "last epoch";
}

void Trainer::require_finite_validation() {
  // Read the file: a run that was stopped after its last evaluation has the value only there.
  std::vector<nlohmann::json> lines;
  try {
    lines = storage::read_json_lines(run_.metrics());
  } catch (const Error& error) {
    progress_.note(std::string("warning: the last validation loss is not known: ") + error.what());
    return;  // the test loss decides
  }
  const auto last = std::find_if(lines.rbegin(), lines.rend(), [](const nlohmann::json& line) {
    return line.value("phase", "") == "validation";
  });
  if (last == lines.rend() || !last->contains("loss") || !last->at("loss").is_null()) return;
  RunPosition at = position();
  at.epoch = (state_.step - 1) / batches_.steps_per_epoch();
  require_finite_metrics({.loss = std::nan("")}, {data_, data_.validation, "validation"}, model_,
                         experiment_, at);
}

EvaluationResult Trainer::test() {
  require_finite_validation();
  RunPosition at = position();
  if (state_.step > 0) at.epoch = (state_.step - 1) / batches_.steps_per_epoch();
  if (state_.best_epoch >= 0) {
    if (const auto best = runs::load_best(run_.checkpoints())) {
      model_.load(storage::read_tensors(best->tensors, "model/"));
      // The epoch and step of these weights, which a later evaluation of them also uses.
      at.epoch = state_.best_epoch;
      at.step = LoopState::from_json(best->state.at("loop")).step;
    }
  }
  tested_at_ = at;
  const double started = now();
  final_passes_ = 0;
  EvaluationResult result = evaluate_final(model_, experiment_, data_, data_.test, at,
                                           watch("test", {}), /*record_code_use=*/true);
  seconds_.test = now() - started;
  require_finite_metrics(result.metrics, {data_, data_.test, "test"}, model_, experiment_, at);
  if (result.before_recalibration) {
    const std::int64_t wanted = train_.integer("bn_recalibrate");
    if (result.recalibration_batches < wanted) {
      progress_.note("train.bn_recalibrate: the training set has only " +
                     std::to_string(result.recalibration_batches) + " of " +
                     std::to_string(wanted) + " batches");
    }
    progress_.note("test: " + recalibration_text(result));
  }
  for (const CodeUse& use : model_.code_use()) {
    if (use.most_frequent_share <= 0.99) continue;
    progress_.note("warning: " + use.slot + ": " +
                   std::to_string(use.most_frequent_share * 100).substr(0, 5) +
                   " % of the codes are equal, so this layer hardly carries information");
  }
  return result;
}

}  // namespace qhost::training
