#include "training/run_clock.h"

#include <limits>

namespace qhost::training {

double RunClock::seconds_left(double training_images, double evaluation_images) const {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  constexpr double evaluation_per_training = 3;
  const double train_rate = training.images_per_second();
  double evaluate_rate = evaluation.images_per_second();
  if (evaluate_rate <= 0) evaluate_rate = evaluation_per_training * train_rate;
  if (training_images > 0 && train_rate <= 0) return unknown;
  if (evaluation_images > 0 && evaluate_rate <= 0) return unknown;
  return (training_images > 0 ? training_images / train_rate : 0) +
         (evaluation_images > 0 ? evaluation_images / evaluate_rate : 0);
}

EvaluationsLeft evaluations_left(std::int64_t step, std::int64_t steps,
                                 std::int64_t steps_per_epoch, std::int64_t evaluate_every,
                                 bool recalibrates) {
  EvaluationsLeft left;
  left.final = recalibrates ? 2 : 1;
  if (step >= steps) return left;
  const std::int64_t due_in = steps_per_epoch * evaluate_every;  // steps from one to the next
  left.epochs = steps / due_in - step / due_in;
  if (steps % due_in != 0) ++left.epochs;  // at the end
  return left;
}

}  // namespace qhost::training
