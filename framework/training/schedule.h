/// training/schedule.h: the learning rate of every step, a pure function of the step.
///
/// With lr the optimizer's learning rate, e = step / steps_per_epoch (real), k = floor(e) the
/// epoch, E the run's epochs and W = warmup_epochs:
///
///   warm-up      e < W: lr * (warmup_start + (1 - warmup_start) * e / W)
///   constant     lr
///   step         lr * factor ^ floor(k / every)
///   multi_step   lr * factor ^ (number of milestones <= k)
///   cosine       final + (lr - final) * (1 + cos(pi * p)) / 2
///   exponential  lr * (final / lr) ^ p
///   one_cycle    a cosine from lr / start_divisor up to lr over the first peak_fraction of the
///                steps, then a cosine down to lr / start_divisor / final_divisor
///                (Smith and Topin, 1708.07120, in the form of torch.optim's OneCycleLR)
///
/// p = (e - W) / (E - W), with `per = "epoch"` (max(k, W) - W) / (E - W), clamped to [0, 1]. The
/// epochs of step and multi_step count from the start of the run and include the warm-up. A run
/// that is shorter than its warm-up stays in it. one_cycle has a warm-up of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "qhost/options.h"

namespace qhost::training {

/// The position of a step in its run.
struct SchedulePosition {
  std::int64_t step = 0;             ///< from 0
  std::int64_t steps_per_epoch = 1;  ///< > 0
  std::int64_t epochs = 1;           ///< of the run
};

class Schedule {
 public:
  /// The learning rate of optimizer step `step`, from 0. Throws Error (internal) for a negative
  /// step or steps_per_epoch < 1.
  double learning_rate(std::int64_t step, std::int64_t steps_per_epoch) const;

 private:
  friend Schedule make_schedule(const std::string&, const Options&, double, std::int64_t);
  double base_ = 0;
  std::int64_t epochs_ = 0;
  double warmup_epochs_ = 0, warmup_start_ = 0;
  std::function<double(const SchedulePosition&)> after_warmup_;
};

/// `name` and `options` are those of the experiment's [schedule], `learning_rate` is the
/// optimizer's, and `epochs` the run's. Throws OptionError for options that do not fit together,
/// Error (configuration) for an unknown name.
Schedule make_schedule(const std::string& name, const Options& options, double learning_rate,
                       std::int64_t epochs);

}  // namespace qhost::training
