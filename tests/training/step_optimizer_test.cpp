// The use of gradients in the loop: decay, clipping, optimizers, multipliers, learning rates.
#include "training/step.h"

namespace qhost::training {
namespace {

TEST_F(StepTest, WeightDecayIsOfConvolutionsAndLinearLayers) {
  const Words overrides = {"optimizer.weight_decay=0.5", "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  step.update([](const std::string&, const at::Tensor& w, const at::Tensor& g) {
    return w - 0.1 * (is_weight(w) ? g + 0.5 * w : g);
  });
  step.expect_same(saved(1), "decay on weights");
}

TEST_F(StepTest, WeightDecayOnAllIsOfBiasesAndBatchNormsToo) {
  const Words overrides = {"optimizer.weight_decay=0.5", "optimizer.weight_decay_on=all",
                           "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  step.update([](const std::string&, const at::Tensor& w, const at::Tensor& g) {
    return w - 0.1 * (g + 0.5 * w);
  });
  step.expect_same(saved(1), "decay on all");
}

TEST_F(StepTest, TheGradientIsClippedBeforeTheStep) {
  const Words overrides = {"train.gradient_clip=0.01", "optimizer.learning_rate=10.0",
                           "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  const double norm = step.gradient_norm();
  ASSERT_GT(norm, 0.1) << "there is nothing to clip";
  step.update([&](const std::string&, const at::Tensor& w, const at::Tensor& g) {
    return w - 10.0 * g * (0.01 / (norm + 1e-6));
  });
  step.expect_same(saved(1), "clipped");

  // The norm of the movement of all parameters together is learning rate * clip.
  double squares = 0;
  const Tensors after = saved(1);
  for (const NamedTensor& entry : step.model().state()) {
    if (!entry.trainable) continue;
    squares += (after.at(entry.name).to(at::kDouble) - step.before().at(entry.name))
                   .square()
                   .sum()
                   .item<double>();
  }
  EXPECT_NEAR(std::sqrt(squares), 10.0 * 0.01, 1e-5);
}

TEST_F(StepTest, AGradientBelowTheLimitIsNotClipped) {
  const Words overrides = {"train.gradient_clip=1e6", "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  step.update(
      [](const std::string&, const at::Tensor& w, const at::Tensor& g) { return w - 0.1 * g; });
  step.expect_same(saved(1), "not clipped");
}

/// Three steps of one epoch, 45 images each; the rule may keep state between them.
class ThreeSteps : public StepTest {
 protected:
  using StepRule = std::function<at::Tensor(std::int64_t step, const std::string& name,
                                            const at::Tensor& w, const at::Tensor& g)>;
  void expect_steps(const Words& settings, const StepRule& rule) {
    Words overrides = {"train.batch_size=45"};
    overrides.insert(overrides.end(), settings.begin(), settings.end());
    run(overrides);
    Beside step = beside(overrides, {.batch_size = 45});
    ASSERT_EQ(step.steps_per_epoch(), 3);
    for (std::int64_t t = 0; t < 3; ++t) {
      step.backward(t);
      step.update([&](const std::string& name, const at::Tensor& w, const at::Tensor& g) {
        return rule(t, name, w, g);
      });
      step.expect_same(saved(t + 1), "after step " + std::to_string(t + 1));
      step.take(saved(t + 1));
    }
  }
};

TEST_F(ThreeSteps, OfSgd) {
  expect_steps({"optimizer.weight_decay=0.01"},
               [](std::int64_t, const std::string&, const at::Tensor& w, const at::Tensor& g) {
                 return w - 0.1 * (is_weight(w) ? g + 0.01 * w : g);
               });
}

TEST_F(ThreeSteps, OfSgdWithMomentum) {
  Tensors velocity;
  expect_steps(
      {"optimizer.momentum=0.8", "optimizer.weight_decay=0.01"},
      [&](std::int64_t, const std::string& name, const at::Tensor& w, const at::Tensor& g) {
        const at::Tensor d = is_weight(w) ? g + 0.01 * w : g;
        at::Tensor& v = velocity[name];
        v = v.defined() ? 0.8 * v + d : d;
        return w - 0.1 * v;
      });
}

TEST_F(ThreeSteps, OfSgdWithNesterovMomentum) {
  Tensors velocity;
  expect_steps(
      {"optimizer.momentum=0.8", "optimizer.nesterov=true"},
      [&](std::int64_t, const std::string& name, const at::Tensor& w, const at::Tensor& g) {
        at::Tensor& v = velocity[name];
        v = v.defined() ? 0.8 * v + g : g;
        return w - 0.1 * (g + 0.8 * v);
      });
}

/// Adam's step by the paper. The epsilon is large, because a gradient near 0 is rounding error.
class Moments {
 public:
  at::Tensor direction(std::int64_t step, const std::string& name, const at::Tensor& g) {
    at::Tensor &m = first_[name], &s = second_[name];
    m = m.defined() ? 0.8 * m + 0.2 * g : 0.2 * g;
    s = s.defined() ? 0.9 * s + 0.1 * g * g : 0.1 * g * g;
    const auto t = static_cast<double>(step + 1);
    return (m / (1 - std::pow(0.8, t))) / ((s / (1 - std::pow(0.9, t))).sqrt() + 0.05);
  }

 private:
  Tensors first_, second_;
};
const Words adam = {"optimizer.beta1=0.8", "optimizer.beta2=0.9", "optimizer.epsilon=0.05",
                    "optimizer.learning_rate=0.01", "optimizer.weight_decay=0.1"};

/// The [optimizer] table of the file is for sgd: another optimizer has a file of its own.
class OtherOptimizer : public ThreeSteps {
 protected:
  void use(const std::string& name) {
    std::string file = text();
    file.resize(file.find("[optimizer]"));
    folder_.write("e.toml", file + "[optimizer]\nname = \"" + name + "\"\n");
  }
};

TEST_F(OtherOptimizer, Adam) {
  use("adam");
  Moments moments;
  expect_steps(
      adam, [&](std::int64_t t, const std::string& name, const at::Tensor& w, const at::Tensor& g) {
        return w - 0.01 * moments.direction(t, name, is_weight(w) ? g + 0.1 * w : g);
      });
}

TEST_F(OtherOptimizer, AdamW) {
  use("adamw");
  Moments moments;
  expect_steps(
      adam, [&](std::int64_t t, const std::string& name, const at::Tensor& w, const at::Tensor& g) {
        const at::Tensor decayed = is_weight(w) ? (1 - 0.01 * 0.1) * w : w;
        return decayed - 0.01 * moments.direction(t, name, g);
      });
}

TEST_F(StepTest, BinaryConnectsScaleMultipliesTheRateOfItsWeights) {
  for (const auto& [scale, power] : {std::pair{"glorot", 0.5}, {"glorot_squared", 1.0}}) {
    const Words overrides = {"quantizer.name=binaryconnect",
                             "quantizer.lr_scale=" + std::string(scale),
                             "optimizer.learning_rate=0.003", "train.max_steps=1"};
    run(overrides, scale);
    Beside step = beside(overrides);
    step.backward(0);
    step.update([power = power](const std::string&, const at::Tensor& w, const at::Tensor& g) {
      if (!is_weight(w)) return w - 0.003 * g;
      // 1/c^2 = (fan_in + fan_out) / 1.5; clipping is part of the method.
      const std::int64_t kernel = w.dim() == 4 ? w.size(2) * w.size(3) : 1;
      const double fans = static_cast<double>((w.size(0) + w.size(1)) * kernel);
      return (w - 0.003 * std::pow(fans / 1.5, power) * g).clamp(-1, 1);
    });
    step.expect_same(saved(1, scale), scale);
  }
}

TEST_F(StepTest, LearnedStepsHaveARateAndADecayOfTheirOwn) {
  const Words overrides = {"quantizer.name=lsq",
                           "quantizer.step_learning_rate=0.25",
                           "quantizer.step_weight_decay=0.5",
                           "optimizer.weight_decay=0.1",
                           "optimizer.learning_rate=0.01",
                           "train.max_steps=1"};
  run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  // The first batch sets the steps of inputs: count the movement from there.
  step.remember();
  step.update([](const std::string& name, const at::Tensor& w, const at::Tensor& g) {
    if (name.ends_with(".step")) return w - 0.25 * 0.01 * (g + 0.5 * w);
    return w - 0.01 * (is_weight(w) ? g + 0.1 * w : g);
  });
  step.expect_same(saved(1), "learned steps");
}

/// `rates` of three steps, in epochs of `steps_per_epoch`.
struct Rates {
  std::string name;
  Words settings;
  std::int64_t batch_size, epochs;
  std::vector<double> rates;
};
void PrintTo(const Rates& one, std::ostream* out) {
  *out << one.name;
}

class Scheduled : public StepTest, public ::testing::WithParamInterface<Rates> {};

TEST_P(Scheduled, StepsHaveTheRatesOfTheirPlaces) {
  const Rates& given = GetParam();
  Words overrides = given.settings;
  overrides.push_back("train.batch_size=" + std::to_string(given.batch_size));
  overrides.push_back("train.epochs=" + std::to_string(given.epochs));
  overrides.push_back("train.max_steps=3");
  run(overrides);
  Beside step = beside(overrides, {.batch_size = given.batch_size, .epochs = given.epochs});
  for (std::int64_t t = 0; t < 3; ++t) {
    step.backward(t);
    const double rate = given.rates[static_cast<std::size_t>(t)];
    step.update(
        [&](const std::string&, const at::Tensor& w, const at::Tensor& g) { return w - rate * g; });
    step.expect_same(saved(t + 1), "after step " + std::to_string(t + 1));
    step.take(saved(t + 1));
  }
  EXPECT_NEAR(line("train").at("learning_rate").get<double>(), given.rates[2], 1e-12);
}

// 135 images: 3 steps per epoch at 45, 2 at 68, 1 at 135.
INSTANTIATE_TEST_SUITE_P(
    Each, Scheduled,
    ::testing::Values(
        Rates{"constant", {}, 45, 1, {0.1, 0.1, 0.1}},
        // Nothing moves at the rate 0 of the first step.
        Rates{"warmup", {"schedule.warmup_epochs=1"}, 45, 1, {0, 0.1 / 3, 0.2 / 3}},
        Rates{"warmup_from_a_half",
              {"schedule.warmup_epochs=1", "schedule.warmup_start=0.5"},
              45,
              1,
              {0.05, 0.2 / 3, 0.25 / 3}},
        Rates{"step",
              {"schedule.name=step", "schedule.every=1", "schedule.factor=0.5"},
              135,
              3,
              {0.1, 0.05, 0.025}},
        Rates{"multi_step",
              {"schedule.name=multi_step", "schedule.milestones=[1, 2]", "schedule.factor=0.3"},
              135,
              3,
              {0.1, 0.03, 0.009}},
        Rates{"warmup_before_a_milestone",
              {"schedule.name=multi_step", "schedule.milestones=[1]", "schedule.factor=0.3",
               "schedule.warmup_epochs=0.5"},
              68,
              2,
              {0, 0.1, 0.03}},
        // p = 0, 1/3, 2/3: (1 + cos(pi p)) / 2 = 1, 3/4, 1/4.
        Rates{"cosine", {"schedule.name=cosine", "schedule.final=0.02"}, 45, 1, {0.1, 0.08, 0.04}},
        Rates{"cosine_per_epoch",
              {"schedule.name=cosine", "schedule.final=0.02", "schedule.per=epoch"},
              68,
              2,
              {0.1, 0.1, 0.06}},
        Rates{"exponential",
              {"schedule.name=exponential", "schedule.final=0.0125"},
              135,
              3,
              {0.1, 0.05, 0.025}},
        Rates{"exponential_per_epoch",
              {"schedule.name=exponential", "schedule.final=0.025", "schedule.per=epoch"},
              68,
              2,
              {0.1, 0.1, 0.05}},
        // From 0.1/4 to the peak at half a step, then down to 0.1/4/5: a third and all of the way.
        Rates{"one_cycle",
              {"schedule.name=one_cycle", "schedule.peak_fraction=0.5", "schedule.start_divisor=4",
               "schedule.final_divisor=5"},
              45,
              1,
              {0.025, 0.005 + 0.095 * 0.75, 0.005}}),
    [](const ::testing::TestParamInfo<Rates>& one) { return one.param.name; });

}  // namespace
}  // namespace qhost::training
