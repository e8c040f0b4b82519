// The input of the network in the loop, and its use of the logits: order, augmentation, batches,
// loss, precision and layout.
#include "training/step.h"

namespace qhost::training {
namespace {

at::Tensor plain_step(const std::string&, const at::Tensor& w, const at::Tensor& g) {
  return w - 0.1 * g;
}

TEST_F(StepTest, TheLabelIsSmoothed) {
  for (const double smoothing : {0.0, 0.3}) {
    const std::string text = std::to_string(smoothing);
    const Words overrides = {"train.label_smoothing=" + text, "train.max_steps=1"};
    run(overrides, text);
    Beside step = beside(overrides);
    const double loss = step.backward(0, [&](const at::Tensor& y, const at::Tensor& labels) {
      return cross_entropy_by_hand(y, labels, smoothing);
    });
    step.update(plain_step);
    step.expect_same(saved(1, text), text);
    expect_near(line("train", text).at("loss"), loss, text);
  }
  EXPECT_GT(std::fabs(line("train", "0.300000").at("loss").get<double>() -
                      line("train", "0.000000").at("loss").get<double>()),
            1e-3);
}

TEST_F(StepTest, TheLossIsTheOneOfTheFile) {
  const Words overrides = {"train.loss=squared_hinge", "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  const double loss = step.backward(0, squared_hinge_by_hand);
  step.update(plain_step);
  step.expect_same(saved(1), "squared hinge");
  expect_near(line("train").at("loss"), loss, "squared hinge");
}

TEST_F(StepTest, TheSeedDrawsTheWeightsAndTheOrder) {
  const Words overrides = {"train.seed=7", "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides, {.seed = 7});
  const double loss = step.backward(0);
  step.update(plain_step);
  step.expect_same(saved(1), "seed 7");
  expect_near(line("train").at("loss"), loss, "seed 7");
}

TEST_F(StepTest, AShortLastBatchWeighsByItsImages) {
  const Words overrides = {"train.batch_size=60"};
  run(overrides);
  Beside step = beside(overrides, {.batch_size = 60});
  ASSERT_EQ(step.steps_per_epoch(), 3);
  double losses[3];
  std::int64_t correct = 0;
  for (std::int64_t t = 0; t < 3; ++t) {
    losses[t] = step.backward(t);
    correct += step.last_correct();
    EXPECT_EQ(step.last_images(), t < 2 ? 60 : 15);
    step.update(plain_step);
    step.expect_same(saved(t + 1), "after batch " + std::to_string(t + 1));
    step.take(saved(t + 1));
  }
  const double by_images = (60 * losses[0] + 60 * losses[1] + 15 * losses[2]) / 135;
  ASSERT_GT(std::fabs(by_images - (losses[0] + losses[1] + losses[2]) / 3), 1e-2)
      << "the batches' losses are too alike to tell the two means apart";
  expect_near(line("train").at("loss"), by_images, "mean over images");
  EXPECT_DOUBLE_EQ(line("train").at("accuracy").get<double>(), static_cast<double>(correct) / 135);
  EXPECT_EQ(line("train").at("samples"), 135);
}

TEST_F(StepTest, AShortLastBatchIsLeftOut) {
  const Words overrides = {"train.batch_size=60", "train.drop_last=true"};
  const nlohmann::json result = run(overrides);
  EXPECT_EQ(result.at("steps"), 2);
  Beside step = beside(overrides, {.batch_size = 60});
  const double first = step.backward(0);
  step.take(saved(1));
  const double second = step.backward(1);
  step.update(plain_step);
  step.expect_same(saved(2), "second batch");
  expect_near(line("train").at("loss"), (first + second) / 2, "two batches");
  EXPECT_EQ(line("train").at("samples"), 120);
}

/// Two epochs of one step each with all 135 images: the draws of both.
struct Drawn {
  std::string name;
  Words settings;
  Told told;
};
void PrintTo(const Drawn& one, std::ostream* out) {
  *out << one.name;
}
class Augmented : public StepTest, public ::testing::WithParamInterface<Drawn> {};

TEST_P(Augmented, TheNetworkSeesTheDrawnImages) {
  const Drawn& given = GetParam();
  Words overrides = given.settings;
  overrides.insert(overrides.end(), {"train.batch_size=135", "train.epochs=2"});
  run(overrides);
  Told told = given.told;
  told.batch_size = 135;
  told.epochs = 2;
  Beside step = beside(overrides, told);
  for (std::int64_t t = 0; t < 2; ++t) {
    const double loss = step.backward(t);
    step.update(plain_step);
    step.expect_same(saved(t + 1), "after step " + std::to_string(t + 1));
    step.take(saved(t + 1));
    if (t == 1) expect_near(line("train").at("loss"), loss, "second epoch");
  }
  // Random draws apply to training images only: all others are just normalized.
  const Beside::Figures test = step.evaluate(step.data().test, step.position(1));
  EXPECT_NEAR(line("test").at("loss").get<double>(), test.loss, 1e-4 * test.loss);
}

INSTANTIATE_TEST_SUITE_P(
    Each, Augmented,
    ::testing::Values(Drawn{"crop", {"augment.crop_padding=2"}, {.crop_padding = 2}},
                      Drawn{"crop_mirrored",
                            {"augment.crop_padding=3", "augment.padding_mode=reflect"},
                            {.crop_padding = 3, .reflect = true}},
                      Drawn{"flip", {"augment.flip=true"}, {.flip = true}},
                      Drawn{"cutout", {"augment.cutout=3"}, {.cutout = 3}},
                      Drawn{"all",
                            {"augment.crop_padding=1", "augment.flip=true", "augment.cutout=4"},
                            {.crop_padding = 1, .flip = true, .cutout = 4}},
                      Drawn{"plain_pixels", {"augment.normalize=false"}, {.mean = {0}, .std = {1}}},
                      Drawn{"other_mean_and_std",
                            {"augment.mean=[0.25]", "augment.std=[0.5]"},
                            {.mean = {0.25F}, .std = {0.5F}}}),
    [](const ::testing::TestParamInfo<Drawn>& one) { return one.param.name; });

// The same images in each precision and layout: different rounding shows in the bits.
TEST_F(StepTest, PrecisionAndLayoutAreThoseOfTheFile) {
  struct Kind {
    std::string name;
    Words settings;
    ModelOptions model;
  };
  const std::vector<Kind> kinds = {
      {"fp32", {}, {.precision = Precision::fp32, .channels_last = true}},
      {"bf16", {"train.precision=bf16"}, {.precision = Precision::bf16, .channels_last = true}},
      {"planes",
       {"train.channels_last=false"},
       {.precision = Precision::fp32, .channels_last = false}}};
  // Running variances, which round differently if a sum has another order.
  const auto statistics = [](const Tensors& state) {
    std::vector<at::Tensor> all;
    for (const auto& [name, tensor] : state) {
      if (name.ends_with(".running_var")) all.push_back(tensor);
    }
    return at::cat(all);
  };
  std::map<std::string, at::Tensor> got, expected;
  for (const Kind& kind : kinds) {
    Words overrides = kind.settings;
    overrides.push_back("train.max_steps=1");
    run(overrides, kind.name);
    got[kind.name] = statistics(saved(1, kind.name));
    Beside step = beside(overrides, {.model = kind.model});
    const double loss = step.backward(0);
    expected[kind.name] = statistics(step.state());
    expect_near(line("train", kind.name).at("loss"), loss, kind.name);
    step.update(plain_step);
    step.expect_same(saved(1, kind.name), kind.name);
  }
  for (const Kind& one : kinds) {
    for (const Kind& other : kinds) {
      EXPECT_EQ(at::equal(got.at(one.name), expected.at(other.name)), one.name == other.name)
          << one.name << " and " << other.name;
    }
  }
}

}  // namespace
}  // namespace qhost::training
