#include "training/loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "qhost/error.h"

namespace qhost::training {
namespace {

using testing::HasSubstr;

/// Deterministic numbers in (-2, 2), without a generator.
at::Tensor wave(std::int64_t rows, std::int64_t columns) {
  const at::Tensor index = at::arange(rows * columns, at::kDouble);
  return (2 * at::sin(index * 1.7 + 0.3)).reshape({rows, columns});
}

at::Tensor labels_of(std::int64_t rows, std::int64_t columns) {
  return at::arange(rows, at::kLong).mul(3).remainder(columns);
}

struct Case {
  const char* name;
  const char* loss;
  double label_smoothing;
};

class Gradient : public testing::TestWithParam<Case> {};

TEST_P(Gradient, EqualsCentralDifferences) {
  const LossFunction loss = make_loss(GetParam().loss, GetParam().label_smoothing);
  const at::Tensor labels = labels_of(4, 6);
  at::Tensor logits = wave(4, 6).requires_grad_();
  loss(logits, labels).backward();
  const double width = 1e-5;
  double largest = 0;
  for (std::int64_t row = 0; row < 4; ++row) {
    for (std::int64_t column = 0; column < 6; ++column) {
      at::NoGradGuard no_grad;
      const auto moved = [&](double by) {
        at::Tensor copy = logits.detach().clone();
        copy[row][column] += by;
        return loss(copy, labels).item<double>();
      };
      const double expected = (moved(width) - moved(-width)) / (2 * width);
      EXPECT_NEAR(logits.grad()[row][column].item<double>(), expected, 1e-8)
          << row << ", " << column;
      largest = std::max(largest, std::abs(expected));
    }
  }
  EXPECT_GT(largest, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Losses, Gradient,
                         testing::Values(Case{"CrossEntropy", "cross_entropy", 0},
                                         Case{"Smoothed", "cross_entropy", 0.1},
                                         Case{"SquaredHinge", "squared_hinge", 0}),
                         [](const auto& instance) { return instance.param.name; });

TEST(CrossEntropy, IsTheFormulaWithAndWithoutSmoothing) {
  const std::int64_t classes = 5, samples = 7;
  const at::Tensor logits = wave(samples, classes), labels = labels_of(samples, classes);
  for (const double smoothing : {0.0, 0.2}) {
    double expected = 0;
    for (std::int64_t n = 0; n < samples; ++n) {
      double sum = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        sum += std::exp(logits[n][c].item<double>());
      }
      for (std::int64_t c = 0; c < classes; ++c) {
        const double share = (c == labels[n].item<std::int64_t>() ? 1 - smoothing : 0) +
                             smoothing / static_cast<double>(classes);
        expected -= share * (logits[n][c].item<double>() - std::log(sum));
      }
    }
    expected /= static_cast<double>(samples);
    EXPECT_NEAR(cross_entropy(logits, labels, smoothing).item<double>(), expected, 1e-12)
        << smoothing;
  }
}

TEST(SquaredHinge, AveragesOverAllElements) {
  const at::Tensor logits = at::tensor({0.5, -2.0, 3.0, 1.0, 1.0, -0.25}, at::kDouble).view({2, 3});
  const at::Tensor labels = at::tensor({0, 2}, at::kLong);
  // t*y: 0.5 2 -3 | -1 -1 -0.25, hence 1 - t*y: 0.5 -1 4 | 2 2 1.25.
  const double expected = (0.25 + 0 + 16 + 4 + 4 + 1.5625) / 6;
  EXPECT_DOUBLE_EQ(squared_hinge(logits, labels).item<double>(), expected);
}

TEST(SquaredHinge, HasNoGradientAtAndBeyondTheMargin) {
  at::Tensor logits = at::tensor({1.0, 2.0, -2.0, -1.0}, at::kDouble).view({2, 2});
  logits.requires_grad_();
  squared_hinge(logits, at::tensor({0, 0}, at::kLong)).backward();
  EXPECT_EQ(logits.grad()[0][0].item<double>(), 0);                    // exactly at the margin
  EXPECT_DOUBLE_EQ(logits.grad()[0][1].item<double>(), 2 * 3 / 4.0);   // other class at 2
  EXPECT_DOUBLE_EQ(logits.grad()[1][0].item<double>(), -2 * 3 / 4.0);  // own class at -2
  EXPECT_EQ(logits.grad()[1][1].item<double>(), 0);
}

TEST(Loss, ComputesLowPrecisionLogitsInFloat) {
  const at::Tensor labels = labels_of(9, 10);
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    for (const char* name : {"cross_entropy", "squared_hinge"}) {
      const LossFunction loss = make_loss(name, 0);
      at::Tensor low = wave(9, 10).to(type).requires_grad_();
      const at::Tensor value = loss(low, labels);
      EXPECT_EQ(value.scalar_type(), at::kFloat);
      EXPECT_TRUE(at::equal(value, loss(low.detach().to(at::kFloat), labels))) << name;
      value.backward();
      EXPECT_EQ(low.grad().scalar_type(), type);
      EXPECT_GT(low.grad().abs().max().item<float>(), 0);
    }
  }
}

TEST(Loss, RefusesShapesThatDoNotFit) {
  const at::Tensor labels = labels_of(4, 3);
  const std::vector<std::pair<at::Tensor, at::Tensor>> bad = {
      {wave(5, 3), labels},
      {wave(4, 3).reshape({4, 3, 1}), labels},
      {wave(4, 3), labels.to(at::kInt)},
      {wave(4, 3), labels.reshape({4, 1})}};
  for (const char* name : {"cross_entropy", "squared_hinge"}) {
    const LossFunction loss = make_loss(name, 0);
    for (const auto& [logits, given] : bad) {
      EXPECT_THROW(loss(logits, given), Error) << name;
    }
    try {
      loss(bad[0].first, bad[0].second);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      EXPECT_STREQ(error.what(),
                   "the loss needs logits [N, classes] and int64 labels [N], not [5, 3] and Long[4]"
                   "\nhelp: the network's output must have the shape {classes}");
    }
  }
}

TEST(Loss, RefusesUnknownNamesAndSmoothingWhereThereIsNone) {
  try {
    make_loss("hinge", 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_STREQ(error.what(),
                 "unknown loss \"hinge\"\nhelp: the losses are cross_entropy and squared_hinge");
  }
  try {
    make_loss("squared_hinge", 0.1);
    FAIL();
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "label_smoothing");
    EXPECT_THAT(error.what(), HasSubstr("loss = \"squared_hinge\"\nhelp: set label_smoothing = 0"));
  }
}

}  // namespace
}  // namespace qhost::training
