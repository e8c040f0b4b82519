/// training/run_clock.h: where the clock time of a run goes, and how much is left.
#pragma once

#include <cstdint>

namespace qhost::training {

/// Images and the seconds that they took.
struct Pace {
  double images = 0, seconds = 0;
  void add(double more_images, double more_seconds) {
    images += more_images;
    seconds += more_seconds;
  }
  /// 0 before the first image.
  double images_per_second() const { return seconds > 0 ? images / seconds : 0; }
};

/// Estimates from the paces of this session. Checkpoints and other work between steps are not part
/// of them.
struct RunClock {
  Pace training, evaluation;

  /// NaN before the first training image. Before the first evaluation an image is taken to need a
  /// third of its training: the forward pass without the two parts of the backward pass.
  double seconds_left(double training_images, double evaluation_images) const;
};

/// Clock times of a run: the sums of `seconds` in metrics.jsonl, and the final evaluation.
struct RunSeconds {
  double training = 0;    ///< of the training steps
  double evaluation = 0;  ///< of the evaluations of epochs
  double test = 0;        ///< of the final evaluation, recalibration included
};

/// Evaluations from here to the end: how often each set of images is still to be evaluated.
struct EvaluationsLeft {
  std::int64_t epochs = 0;  ///< evaluations of an epoch
  std::int64_t final = 0;   ///< passes over the test set at the end
};
/// Of a run that has done `step` of `steps` steps. Epoch `e` (from 1) is evaluated where e is a
/// multiple of `evaluate_every`, and at the end, perhaps within an epoch. An evaluation that is
/// pending at `step` is not counted. With `recalibrates` the final one has two passes.
EvaluationsLeft evaluations_left(std::int64_t step, std::int64_t steps,
                                 std::int64_t steps_per_epoch, std::int64_t evaluate_every,
                                 bool recalibrates);

}  // namespace qhost::training
