#include "training/metrics.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "qhost/error.h"

namespace qhost::training {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

at::Tensor loss_of(double value) {
  return at::scalar_tensor(value, at::kFloat);
}

TEST(Metrics, EqualsACountByHandOverUnequalBatches) {
  const std::int64_t classes = 12;
  Metrics metrics(classes, at::kCPU);
  std::vector<ClassCount> counts(static_cast<std::size_t>(classes));
  std::int64_t top1 = 0, top5 = 0, samples = 0;
  double loss = 0;
  for (const std::int64_t size : {64, 64, 17, 1}) {
    // Only sixteen levels, so that equal logits are frequent.
    const at::Tensor logits =
        at::sin(at::arange(samples * classes, (samples + size) * classes, at::kFloat) * 2.3)
            .mul(8)
            .round()
            .reshape({size, classes});
    const at::Tensor labels = at::arange(samples, samples + size, at::kLong).mul(7).remainder(9);
    for (std::int64_t n = 0; n < size; ++n) {
      const auto label = labels[n].item<std::int64_t>();
      const auto own = logits[n][label].item<float>();
      std::int64_t rank = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        const auto value = logits[n][c].item<float>();
        rank += value > own || (value == own && c < label) ? 1 : 0;
      }
      auto& count = counts[static_cast<std::size_t>(label)];
      count.samples += 1;
      count.correct += rank == 0 ? 1 : 0;
      top1 += rank == 0 ? 1 : 0;
      top5 += rank < 5 ? 1 : 0;
    }
    metrics.add(logits, labels, loss_of(0.5 + static_cast<double>(size)));
    loss += (0.5 + static_cast<double>(size)) * static_cast<double>(size);
    samples += size;
  }
  ASSERT_TRUE(top1 > 0 && top5 > top1 && top5 < samples) << top1 << " " << top5;
  const MetricsResult result = metrics.result();
  EXPECT_EQ(result.samples, samples);
  EXPECT_EQ(result.per_class, counts);
  EXPECT_DOUBLE_EQ(result.top1, static_cast<double>(top1) / static_cast<double>(samples));
  EXPECT_DOUBLE_EQ(result.top5, static_cast<double>(top5) / static_cast<double>(samples));
  EXPECT_DOUBLE_EQ(result.loss, loss / static_cast<double>(samples));
}

TEST(Metrics, OfEqualLogitsTheFirstWinsAsInArgmax) {
  Metrics metrics(3, at::kCPU);
  metrics.add(at::zeros({3, 3}), at::tensor({0, 1, 2}, at::kLong), loss_of(1));
  EXPECT_THAT(metrics.result().per_class,
              ElementsAre(ClassCount{1, 1}, ClassCount{0, 1}, ClassCount{0, 1}));
  EXPECT_EQ(metrics.result().top5, 1);  // with three classes, every label is among the top five
}

TEST(Metrics, ANanIsNeverACorrectAnswer) {
  Metrics metrics(6, at::kCPU);
  at::Tensor logits = at::zeros({3, 6});
  logits[0].fill_(nan);
  logits[1][2] = nan;  // the logit of the label
  logits[2][2] = 5;
  logits[2][4] = nan;  // the logit of a class before the label
  metrics.add(logits, at::full({3}, 2, at::kLong), loss_of(nan));
  const MetricsResult result = metrics.result();
  EXPECT_EQ(result.top1, 0);
  EXPECT_DOUBLE_EQ(result.top5, 1.0 / 3);  // only the last sample, in second place
  EXPECT_TRUE(std::isnan(result.loss));
}

TEST(Metrics, WithoutSamplesThereIsNoFigure) {
  Metrics metrics(2, at::kCPU);
  metrics.add(at::zeros({0, 2}), at::zeros({0}, at::kLong), loss_of(nan));
  const MetricsResult empty = metrics.result();
  EXPECT_EQ(empty.samples, 0);
  EXPECT_TRUE(std::isnan(empty.loss) && std::isnan(empty.top1) && std::isnan(empty.top5));
  EXPECT_EQ(to_json(empty)["accuracy"], json(nullptr));
  metrics.add(at::eye(2), at::tensor({0, 1}, at::kLong), loss_of(0.25));
  EXPECT_EQ(metrics.result().top1, 1);
  metrics.reset();
  EXPECT_EQ(metrics.result().samples, 0);
}

TEST(Metrics, AsJson) {
  Metrics metrics(2, at::kCPU);
  metrics.add(at::eye(2).to(at::kBFloat16), at::tensor({0, 0}, at::kLong), loss_of(0.25));
  EXPECT_EQ(to_json(metrics.result()),
            json::parse(R"({"loss": 0.25, "accuracy": 0.5, "top5_accuracy": 1.0, "samples": 2,
                            "per_class": [{"correct": 1, "samples": 2},
                                          {"correct": 0, "samples": 0}]})"));
}

TEST(Metrics, RefusesShapesThatDoNotFit) {
  Metrics metrics(4, at::kCPU);
  const at::Tensor labels = at::zeros({3}, at::kLong);
  try {
    metrics.add(at::zeros({3, 5}), labels, loss_of(0));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_STREQ(error.what(),
                 "metrics of 4 classes got logits Float[3, 5] and labels Long[3]\n"
                 "help: give logits [N, 4] and int64 labels [N]");
  }
  EXPECT_THROW(metrics.add(at::zeros({2, 4}), labels, loss_of(0)), Error);
  EXPECT_THROW(metrics.add(at::zeros({3, 4}), labels.to(at::kInt), loss_of(0)), Error);
}

TEST(SignFlips, CountsTheSharePerLayerSinceThePreviousCall) {
  SignFlips flips;
  at::Tensor a = at::tensor({1.0f, -1.0f, 2.0f, -2.0f}), b = at::tensor({-1.0f, 0.0f});
  EXPECT_TRUE(flips.update({{"a", a}, {"b", b}}).empty());
  a[0] = -3.0f;  // flips
  a[2] = 5.0f;   // does not
  b[1] = 4.0f;   // does not: zero counts as positive
  EXPECT_THAT(flips.update({{"a", a}, {"b", b}}),
              ElementsAre(std::pair<std::string, double>("a", 0.25),
                          std::pair<std::string, double>("b", 0.0)));
  b.neg_();
  const at::Tensor c = at::ones({3});
  EXPECT_THAT(flips.update({{"b", b}, {"c", c}}),
              ElementsAre(std::pair<std::string, double>("b", 1.0)));
  // "a" was left out in between: its signs are kept.
  EXPECT_THAT(flips.update({{"a", -a}}), ElementsAre(std::pair<std::string, double>("a", 1.0)));
}

TEST(SignFlips, DoesNotDependOnTheLayoutAndKeepsNoReference) {
  SignFlips flips;
  at::Tensor weight = at::sin(at::arange(72, at::kFloat) + 0.5).reshape({2, 4, 3, 3});
  flips.update({{"w", weight}});
  const at::Tensor nhwc = weight.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_EQ(flips.update({{"w", nhwc}})[0].second, 0);
  nhwc.neg_();
  EXPECT_EQ(flips.update({{"w", nhwc}})[0].second, 1);
}

TEST(SignFlips, ContinuesFromItsState) {
  SignFlips first;
  const at::Tensor start = at::tensor({1.0f, 1.0f, -1.0f, -1.0f});
  first.update({{"w", start}});
  SignFlips second;
  const at::Tensor saved = first.state().at("w").clone();
  second.restore({{"w", saved}});
  saved.fill_(2);  // the state is a copy
  EXPECT_EQ(second.update({{"w", at::tensor({1.0f, -1.0f, 1.0f, 1.0f})}})[0].second, 0.75);
  try {
    second.restore({{"w", start}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::storage);
    EXPECT_THAT(error.what(), HasSubstr("the kept signs of w are Float[4], not uint8\nhelp: "));
  }
}

TEST(SignFlips, RefusesALayerThatChangedItsShape) {
  SignFlips flips;
  flips.update({{"w", at::ones({2, 3})}});
  try {
    flips.update({{"w", at::ones({3, 2})}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("the signs of w changed their shape from Byte[2, 3] to Byte[3, 2]"));
  }
}

class Finite : public testing::Test {
 protected:
  Finite() {
    for (const char* name : {"conv1.weight", "conv2.weight", "fc.weight"}) {
      parameters_.push_back({name, at::ones({2, 2}).requires_grad_()});
      parameters_.back().tensor.mutable_grad() = at::ones({2, 2});
    }
  }
  std::string diverged(double loss) {
    try {
      require_finite_loss(loss, 3, 1234, parameters_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::diverged);
      EXPECT_EQ(error.exit_code(), 5);
      EXPECT_THAT(error.what(), HasSubstr("\nhelp: lower optimizer.learning_rate"));
      return error.what();
    }
    return "no error";
  }
  void set(at::Tensor tensor, float value) {
    at::NoGradGuard no_grad;
    tensor[1][0] = value;
  }
  std::vector<TrainableParameter> parameters_;
};

TEST_F(Finite, AFiniteLossPassesWhateverTheTensorsHold) {
  set(parameters_[0].tensor, nan);
  EXPECT_EQ(diverged(2.5), "no error");
}

TEST_F(Finite, NamesTheFirstGradientThenTheFirstValue) {
  EXPECT_FALSE(first_non_finite(parameters_).has_value());
  EXPECT_THAT(diverged(infinity), HasSubstr("the loss is inf in epoch 4, step 1235; all "
                                            "parameters and gradients are finite\n"));
  set(parameters_[0].tensor.grad(), infinity);
  EXPECT_THAT(diverged(nan), HasSubstr("the loss is nan in epoch 4, step 1235; first in the "
                                       "gradient of conv1.weight: 1 of 4 values are not finite"));
  set(parameters_[2].tensor, nan);
  set(parameters_[1].tensor, -infinity);
  EXPECT_THAT(diverged(-infinity), HasSubstr("the loss is -inf in epoch 4, step 1235; first in "
                                             "conv2.weight: 1 of 4 values are not finite"));
  parameters_[0].tensor.mutable_grad().reset();
  const auto found = first_non_finite(parameters_);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->name, "conv2.weight");
  EXPECT_FALSE(found->gradient);
  EXPECT_EQ(found->count, 1);
  EXPECT_EQ(found->elements, 4);
}

}  // namespace
}  // namespace qhost::training
