#include "training/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config/schema.h"
#include "golden.h"
#include "qhost/error.h"

namespace qhost::training {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Schedule make(const std::string& name, const json& options, double rate, std::int64_t epochs) {
  const std::vector<Option>* declared = config::find_schedule(name);
  if (declared == nullptr) {
    throw std::runtime_error("not declared: " + name);
  }
  return make_schedule(name, options_from(*declared, options), rate, epochs);
}

TEST(Schedule, EqualsPyTorchsSchedulers) {
  int compared = 0;
  for (const json& entry : golden("schedules")) {
    SCOPED_TRACE(entry["schedule"].get<std::string>() + " " + entry["options"].dump());
    const auto epochs = entry["epochs"].get<std::int64_t>();
    const auto steps_per_epoch = entry["steps_per_epoch"].get<std::int64_t>();
    const Schedule schedule =
        make(entry["schedule"], entry["options"], entry["base"].get<double>(), epochs);
    const std::vector<double> expected = numbers(entry["rates"]);
    const bool per_epoch = entry["every"] == "epoch";
    ASSERT_EQ(expected.size(),
              static_cast<std::size_t>(per_epoch ? epochs : epochs * steps_per_epoch));
    for (std::int64_t step = 0; step < epochs * steps_per_epoch; ++step) {
      const double want =
          expected.at(static_cast<std::size_t>(per_epoch ? step / steps_per_epoch : step));
      EXPECT_NEAR(schedule.learning_rate(step, steps_per_epoch), want, 1e-12 * std::abs(want))
          << "step " << step;
      ++compared;
    }
  }
  EXPECT_GT(compared, 300);
}

TEST(Schedule, WarmUpGrowsLinearlyAndMayEndWithinAnEpoch) {
  const Schedule schedule =
      make("constant", {{"warmup_epochs", 1.5}, {"warmup_start", 0.2}}, 0.4, 10);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0, 4), 0.08);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3, 4), 0.4 * (0.2 + 0.8 * 0.5));
  EXPECT_DOUBLE_EQ(schedule.learning_rate(5, 4), 0.4 * (0.2 + 0.8 * 5 / 6));
  EXPECT_DOUBLE_EQ(schedule.learning_rate(6, 4), 0.4);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(39, 4), 0.4);
}

TEST(Schedule, EpochsOfStepCountFromTheStartOfTheRun) {
  const Schedule schedule =
      make("step", {{"every", 2}, {"factor", 0.5}, {"warmup_epochs", 3.0}}, 1.0, 6);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(20, 10), 2.0 / 3);  // still warming up
  EXPECT_DOUBLE_EQ(schedule.learning_rate(30, 10), 0.5);      // epoch 3 = one change
  EXPECT_DOUBLE_EQ(schedule.learning_rate(40, 10), 0.25);
}

TEST(Schedule, CosineStartsWhereTheWarmUpEndsAndStaysAtItsEnd) {
  for (const char* per : {"step", "epoch"}) {
    const Schedule schedule =
        make("cosine", {{"final", 0.01}, {"per", per}, {"warmup_epochs", 2.0}}, 0.1, 6);
    EXPECT_DOUBLE_EQ(schedule.learning_rate(20, 10), 0.1) << per;
    EXPECT_DOUBLE_EQ(schedule.learning_rate(40, 10), 0.055) << per;
    EXPECT_DOUBLE_EQ(schedule.learning_rate(60, 10), 0.01) << per;
    EXPECT_DOUBLE_EQ(schedule.learning_rate(600, 10), 0.01) << per;
  }
}

TEST(Schedule, PerEpochKeepsTheRateWithinAnEpoch) {
  const Schedule schedule = make("exponential", {{"final", 0.001}, {"per", "epoch"}}, 0.1, 2);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0, 3), 0.1);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(2, 3), 0.1);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(3, 3), 0.01);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(5, 3), 0.01);
  const Schedule smooth = make("exponential", {{"final", 0.001}, {"per", "step"}}, 0.1, 2);
  EXPECT_DOUBLE_EQ(smooth.learning_rate(1, 2), 0.1 * std::pow(0.01, 0.25));
}

TEST(Schedule, ARunShorterThanItsWarmUpStaysWithinIt) {
  for (const char* name : {"constant", "cosine"}) {
    const Schedule schedule = make(name, {{"warmup_epochs", 5.0}}, 1.0, 2);
    EXPECT_DOUBLE_EQ(schedule.learning_rate(0, 10), 0.0) << name;
    EXPECT_DOUBLE_EQ(schedule.learning_rate(19, 10), 0.38) << name;
  }
}

TEST(Schedule, OneCycleOfASingleStepIsFinite) {
  const Schedule schedule = make("one_cycle", json::object(), 1.0, 1);
  EXPECT_DOUBLE_EQ(schedule.learning_rate(0, 1), 1.0 / 25 / 1e4);
  const Schedule peak_at_once = make("one_cycle", {{"peak_fraction", 0.5}}, 1.0, 1);
  EXPECT_DOUBLE_EQ(peak_at_once.learning_rate(0, 2), 1.0);
}

TEST(Schedule, EveryDeclaredScheduleCanBeMade) {
  std::size_t made = 0;
  for (const config::ComponentDeclaration& declaration : config::schedules()) {
    json required = json::object();
    if (declaration.name == "multi_step") {
      required["milestones"] = {1};
    } else if (declaration.name == "exponential") {
      required["final"] = 0.05;
    }
    const Schedule schedule = make(declaration.name, required, 0.1, 4);
    const double rate = schedule.learning_rate(3, 5);
    EXPECT_TRUE(rate > 0 && rate <= 0.1) << declaration.name << ": " << rate;
    ++made;
  }
  EXPECT_EQ(made, 6U);
}

TEST(Schedule, RefusesMilestonesOutOfOrder) {
  for (const auto& milestones : {json{3, 2}, json{2, 2}}) {
    try {
      make("multi_step", {{"milestones", milestones}}, 0.1, 4);
      FAIL() << "accepted " << milestones;
    } catch (const OptionError& error) {
      EXPECT_EQ(error.option(), "milestones");
      EXPECT_EQ(error.what(), "the milestones must rise, but 2 follows " + milestones[0].dump() +
                                  "\nhelp: list each epoch once, in order");
    }
  }
}

TEST(Schedule, RefusesAnUnknownNameAndAnImpossibleStep) {
  try {
    make_schedule("cosin", Options(), 0.1, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_THAT(error.what(), HasSubstr("unknown schedule \"cosin\"\nhelp: the schedules are"));
  }
  const Schedule schedule = make("constant", json::object(), 0.1, 1);
  for (const auto& [step, steps_per_epoch] : {std::pair{-1, 5}, std::pair{3, 0}}) {
    try {
      schedule.learning_rate(step, steps_per_epoch);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      EXPECT_THAT(error.what(), HasSubstr("step " + std::to_string(step) + " with " +
                                          std::to_string(steps_per_epoch) + " steps per epoch"));
    }
  }
}

}  // namespace
}  // namespace qhost::training
