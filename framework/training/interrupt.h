/// training/interrupt.h: handles the signals that ask a run to stop so that it can be resumed.
///
/// A signal sets a flag and at once writes one line to stderr: where the run will stop and what a
/// second signal would cost. The loops check the flag between two training steps and between two
/// batches of an evaluation or a calibration.
#pragma once

#include <cstdint>

#include "qhost/error.h"

namespace qhost::training {

/// Thrown at the end of a step or a batch if a signal asked the run to stop.
class Interrupted : public Error {
 public:
  Interrupted();
};

/// While a guard exists, SIGINT, SIGTERM, SIGHUP and SIGUSR1 only set the flag; a SIGINT after any
/// of them says what is lost and ends the process. A signal that is already ignored stays ignored,
/// as nohup and background jobs of a shell require. Guards nest in one thread; the destructor of
/// the outermost clears the signal.
class InterruptGuard {
 public:
  /// `resumable`: the line says how to resume. The outermost guard decides.
  explicit InterruptGuard(bool resumable = true);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The received signal; 0 if there was none or no guard exists.
  static int signal();
  /// Throws Interrupted if a signal was received.
  static void stop_if_asked();
};

/// The current activity, for the line that a signal writes.
enum class Activity { preparing, calibrating, training, evaluating };

/// Sets the current activity for its lifetime.
class Doing {
 public:
  explicit Doing(Activity activity);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  Activity before_;
};

/// Sets the number of optimizer steps done, and that of the newest checkpoint, -1 without one.
void set_steps_for_signals(std::int64_t done, std::int64_t saved);

}  // namespace qhost::training
