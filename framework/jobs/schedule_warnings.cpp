// Warnings about schedules that cannot work as written in the epochs and steps of their run.
#include "common/number_text.h"
#include "config/diagnostic_codes.h"
#include "data/data_loader.h"
#include "jobs/warnings.h"
#include "training/batch_sizes.h"
#include "training/schedule.h"

namespace qhost::jobs {
namespace {

using config::code::schedule;

std::string text(double number) {
  return significant(number, 4);
}

std::string epochs_text(std::int64_t epochs) {
  return std::to_string(epochs) + (epochs == 1 ? " epoch" : " epochs");
}

class ScheduleCheck {
 public:
  ScheduleCheck(const config::Experiment& experiment, std::vector<config::Diagnostic>& warnings)
      : experiment_(experiment),
        options_(experiment.schedule.options),
        epochs_(experiment.train.integer("epochs")),
        rate_(experiment.optimizer.options.real("learning_rate")),
        warnings_(warnings) {}

  void warmup() {
    if (!options_.has("warmup_epochs")) return;
    const double warmup = options_.real("warmup_epochs");
    if (warmup < static_cast<double>(epochs_)) return;
    warn("schedule.warmup_epochs", "train.epochs",
         "`schedule.warmup_epochs` = " + text(warmup) + ": the run has " + epochs_text(epochs_) +
             ", all of them warm-up, so that `" + experiment_.schedule.name + "` never begins",
         "set schedule.warmup_epochs below " + std::to_string(epochs_) +
             ", or train.epochs above " + text(warmup));
  }

  void milestones() {
    if (!options_.has("milestones")) return;
    std::string late;
    std::int64_t last = 0;
    for (const std::int64_t milestone : options_.integers("milestones")) {
      last = milestone;
      if (milestone >= epochs_) late += (late.empty() ? "" : ", ") + std::to_string(milestone);
    }
    if (late.empty()) return;
    warn("schedule.milestones", "train.epochs",
         "`schedule.milestones`: the learning rate does not change at " + late +
             ": epochs are counted from 0, and the last of the " + std::to_string(epochs_) +
             " is " + std::to_string(epochs_ - 1),
         "set milestones below " + std::to_string(epochs_) + ", or train.epochs above " +
             std::to_string(last));
  }

  void every() {
    if (!options_.has("every") || options_.integer("every") < epochs_) return;
    const std::int64_t every = options_.integer("every");
    warn("schedule.every", "train.epochs",
         "`schedule.every` = " + std::to_string(every) + ": the learning rate never changes in " +
             epochs_text(epochs_),
         "set schedule.every below " + std::to_string(epochs_) + ", or train.epochs above " +
             std::to_string(every));
  }

  void final_rate() {
    if (!options_.has("final") || options_.real("final") <= rate_) return;
    warn("schedule.final", "optimizer.learning_rate",
         "`schedule.final` = " + text(options_.real("final")) +
             " is above optimizer.learning_rate = " + text(rate_) + ": the learning rate grows",
         "set schedule.final below " + text(rate_));
  }

  void max_steps(std::int64_t images) {
    const Options& train = experiment_.train;
    const std::int64_t per_epoch =
        data::steps_per_epoch(images, train.integer("batch_size"), train.boolean("drop_last"));
    const std::int64_t whole = epochs_ * per_epoch;
    const std::int64_t steps = training::steps_of_run(experiment_, per_epoch);
    if (per_epoch == 0 || steps == whole) return;
    const training::Schedule rates =
        training::make_schedule(experiment_.schedule.name, options_, rate_, epochs_);
    const double here = rates.learning_rate(steps - 1, per_epoch);
    const double there = rates.learning_rate(whole - 1, per_epoch);
    if (here == there) return;
    const std::int64_t needed = (steps + per_epoch - 1) / per_epoch;
    warn("train.max_steps", "train.epochs",
         "`train.max_steps` = " + std::to_string(steps) + " ends the run in epoch " +
             std::to_string(needed) + " of " + std::to_string(epochs_) + " at a learning rate of " +
             text(here) + ", where `" + experiment_.schedule.name + "` ends at " + text(there),
         (needed < epochs_ ? "set train.epochs = " + std::to_string(needed) + ", or "
                           : std::string("set ")) +
             "train.max_steps = 0");
  }

 private:
  void warn(const std::string& key, const std::string& other, const std::string& message,
            const std::string& help) {
    warnings_.push_back(warning_at(experiment_, key, other, message, help, schedule));
  }

  const config::Experiment& experiment_;
  const Options& options_;
  std::int64_t epochs_;
  double rate_;
  std::vector<config::Diagnostic>& warnings_;
};

}  // namespace

void warn_of_schedule(const config::Experiment& experiment, std::optional<std::int64_t> images,
                      std::vector<config::Diagnostic>& warnings) {
  if (experiment.train.integer("epochs") == 0) return;  // no step uses a learning rate
  ScheduleCheck check(experiment, warnings);
  check.warmup();
  check.milestones();
  check.every();
  check.final_rate();
  if (images) check.max_steps(*images);
}

}  // namespace qhost::jobs
