#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "qhost/error.h"

namespace qhost::training {
namespace {

using Rule = std::function<double(const SchedulePosition&)>;

double epoch_of(const SchedulePosition& at) {
  return static_cast<double>(at.step) / static_cast<double>(at.steps_per_epoch);
}

double cosine_between(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

/// p of the header: the fraction of the run after its warm-up.
std::function<double(const SchedulePosition&)> progress(const Options& options) {
  const double warmup = options.real("warmup_epochs");
  const bool per_epoch = options.string("per") == "epoch";
  return [warmup, per_epoch](const SchedulePosition& at) {
    const double epoch =
        per_epoch ? static_cast<double>(at.step / at.steps_per_epoch) : epoch_of(at);
    const double length = static_cast<double>(at.epochs) - warmup;
    return length <= 0 ? 1.0 : std::clamp((epoch - warmup) / length, 0.0, 1.0);
  };
}

Rule step_rule(const Options& options, double base) {
  const std::int64_t every = options.integer("every");
  const double factor = options.real("factor");
  return [=](const SchedulePosition& at) {
    return base * std::pow(factor, static_cast<double>(at.step / at.steps_per_epoch / every));
  };
}

Rule multi_step_rule(const Options& options, double base) {
  const std::vector<std::int64_t> milestones = options.integers("milestones");
  for (std::size_t i = 1; i < milestones.size(); ++i) {
    if (milestones[i] <= milestones[i - 1]) {
      throw OptionError("milestones",
                        "the milestones must rise, but " + std::to_string(milestones[i]) +
                            " follows " + std::to_string(milestones[i - 1]),
                        "list each epoch once, in order");
    }
  }
  const double factor = options.real("factor");
  return [=](const SchedulePosition& at) {
    const auto passed =
        std::upper_bound(milestones.begin(), milestones.end(), at.step / at.steps_per_epoch) -
        milestones.begin();
    return base * std::pow(factor, static_cast<double>(passed));
  };
}

Rule cosine_rule(const Options& options, double base) {
  return [base, final_rate = options.real("final"), share = progress(options)](
             const SchedulePosition& at) { return cosine_between(base, final_rate, share(at)); };
}

Rule exponential_rule(const Options& options, double base) {
  return [base, final_rate = options.real("final"), share = progress(options)](
             const SchedulePosition& at) { return base * std::pow(final_rate / base, share(at)); };
}

Rule one_cycle_rule(const Options& options, double base) {
  const double first = base / options.real("start_divisor");
  const double last = first / options.real("final_divisor");
  const double peak_fraction = options.real("peak_fraction");
  return [=](const SchedulePosition& at) {
    // Both turning points are steps, counted from 0: the last step of the run has the last rate.
    const auto steps = static_cast<double>(at.epochs * at.steps_per_epoch);
    const double end = steps - 1;
    const double peak = peak_fraction * steps - 1;
    const double step = std::min(static_cast<double>(at.step), end);
    if (step <= peak) {
      return peak == 0 ? base : cosine_between(first, base, step / peak);
    }
    return cosine_between(base, last, (step - peak) / (end - peak));
  };
}

}  // namespace

double Schedule::learning_rate(std::int64_t step, std::int64_t steps_per_epoch) const {
  if (step < 0 || steps_per_epoch < 1) {
    throw Error(ErrorKind::internal,
                "no learning rate for step " + std::to_string(step) + " with " +
                    std::to_string(steps_per_epoch) + " steps per epoch",
                "steps count from 0; an epoch has at least 1 step");
  }
  const SchedulePosition at{step, steps_per_epoch, epochs_};
  const double epoch = epoch_of(at);
  if (epoch < warmup_epochs_) {
    return base_ * (warmup_start_ + (1 - warmup_start_) * epoch / warmup_epochs_);
  }
  return after_warmup_(at);
}

Schedule make_schedule(const std::string& name, const Options& options, double learning_rate,
                       std::int64_t epochs) {
  Schedule schedule;
  schedule.base_ = learning_rate;
  schedule.epochs_ = epochs;
  if (name == "constant") {
    schedule.after_warmup_ = [learning_rate](const SchedulePosition&) { return learning_rate; };
  } else if (name == "step") {
    schedule.after_warmup_ = step_rule(options, learning_rate);
  } else if (name == "multi_step") {
    schedule.after_warmup_ = multi_step_rule(options, learning_rate);
  } else if (name == "cosine") {
    schedule.after_warmup_ = cosine_rule(options, learning_rate);
  } else if (name == "exponential") {
    schedule.after_warmup_ = exponential_rule(options, learning_rate);
  } else if (name == "one_cycle") {
    schedule.after_warmup_ = one_cycle_rule(options, learning_rate);
    return schedule;
  } else {
    throw Error(ErrorKind::configuration, "unknown schedule \"" + name + "\"",
                "the schedules are constant, step, multi_step, cosine, exponential and one_cycle");
  }
  schedule.warmup_epochs_ = options.real("warmup_epochs");
  schedule.warmup_start_ = options.real("warmup_start");
  return schedule;
}

}  // namespace qhost::training
