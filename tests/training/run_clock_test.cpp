// How much of a run is left: seconds, and evaluations.
#include "training/run_clock.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qhost::training {
namespace {

TEST(RunClock, CountsEvaluationsAtTheirOwnPace) {
  RunClock clock;
  clock.training.add(64, 2);
  clock.training.add(36, 3);
  EXPECT_DOUBLE_EQ(clock.training.images_per_second(), 20);
  // Not measured yet: a third of the training's time.
  EXPECT_DOUBLE_EQ(clock.seconds_left(200, 60), 10 + 1);
  clock.evaluation.add(100, 1);
  EXPECT_DOUBLE_EQ(clock.seconds_left(200, 60), 10 + 0.6);
  EXPECT_DOUBLE_EQ(clock.seconds_left(0, 0), 0);
}

TEST(RunClock, DoesNotGuessWithoutAMeasurement) {
  RunClock clock;
  EXPECT_TRUE(std::isnan(clock.seconds_left(1, 0)));
  EXPECT_TRUE(std::isnan(clock.seconds_left(0, 1)));
  clock.evaluation.add(100, 1);
  EXPECT_TRUE(std::isnan(clock.seconds_left(1, 1)));
  EXPECT_DOUBLE_EQ(clock.seconds_left(0, 50), 0.5) << "a run that only evaluates";
}

/// Counts the evaluations as the loop does them, from `step` on.
std::int64_t walked(std::int64_t step, std::int64_t steps, std::int64_t per_epoch,
                    std::int64_t every) {
  std::int64_t count = 0;
  while (step < steps) {
    ++step;
    const bool edge = step % per_epoch == 0 || step == steps;
    if (edge && (step == steps || step / per_epoch % every == 0)) ++count;
  }
  return count;
}

TEST(RunClock, CountsTheEvaluationsThatTheLoopDoes) {
  for (std::int64_t steps = 0; steps <= 26; ++steps) {
    for (std::int64_t step = 0; step <= steps; ++step) {
      for (const std::int64_t per_epoch : {1, 5, 7}) {
        for (const std::int64_t every : {1, 2, 3}) {
          EXPECT_EQ(evaluations_left(step, steps, per_epoch, every, false).epochs,
                    walked(step, steps, per_epoch, every))
              << step << " of " << steps << ", " << per_epoch << " an epoch, every " << every;
        }
      }
    }
  }
  EXPECT_EQ(evaluations_left(0, 10, 5, 1, false).final, 1);
  EXPECT_EQ(evaluations_left(10, 10, 5, 1, true).final, 2) << "before and after recalibration";
}

}  // namespace
}  // namespace qhost::training
