/// training/interrupt.h: the signals that ask a run to stop so that it can go on later.
///
/// A signal sets a flag and writes one line to stderr, at once: where the run will stop and what a
/// second one would cost. The loops look at the flag between two training steps and between two
/// batches of an evaluation or a calibration.
#pragma once

#include <cstdint>

#include "qhost/error.h"

namespace qhost::training {

/// A signal asked for the end: thrown at the end of a step or a batch.
class Interrupted : public Error {
 public:
  Interrupted();
};

/// While one lives, SIGINT, SIGTERM, SIGHUP and SIGUSR1 only set the flag; a SIGINT after any of
/// them says what is lost and ends the process. One that is ignored when the guard is made stays
/// ignored: nohup and the shell's background jobs mean that. Guards nest, in one thread; the
/// outermost forgets the signal when it goes.
class InterruptGuard {
 public:
  /// `resumable`: the line says how to go on. The outermost decides.
  explicit InterruptGuard(bool resumable = true);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, or 0; 0 without a guard.
  static int signal();
  /// Throws Interrupted when one came.
  static void stop_if_asked();
};

/// For the lines that a signal writes.
enum class Activity { preparing, calibrating, training, evaluating };

/// What goes on while it lives.
class Doing {
 public:
  explicit Doing(Activity activity);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  Activity before_;
};

/// Optimizer steps done, and of the newest checkpoint, -1 without one.
void set_steps_for_signals(std::int64_t done, std::int64_t saved);

}  // namespace qhost::training
