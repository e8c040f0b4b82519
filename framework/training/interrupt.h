/// training/interrupt.h: the signals that ask a run to stop so that it can go on later.
#pragma once

namespace qhost::training {

/// While it lives, SIGINT, SIGTERM and SIGUSR1 only set a flag; a second SIGINT ends the process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, or 0.
  static int signal();
};

}  // namespace qhost::training
