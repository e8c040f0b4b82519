// Evaluation and selection in the loop: validation, the best epoch, recalibrated batch norms.
#include "training/step.h"

namespace qhost::training {
namespace {

at::Tensor plain_step(const std::string&, const at::Tensor& w, const at::Tensor& g) {
  return w - 0.1 * g;
}

// Four epochs of three steps, the last with a learning rate that ruins the network.
TEST_F(StepTest, TheBestEpochIsTheBestOnTheValidationImages) {
  // Training uses a tenth of the other 1047 images.
  const Words overrides = {"data.validation=300",     "train.batch_size=36",
                           "train.epochs=4",          "schedule.name=multi_step",
                           "schedule.milestones=[3]", "schedule.factor=1e3"};
  const nlohmann::json result = run(overrides);
  Beside step = beside(overrides, {.batch_size = 36, .epochs = 4});
  ASSERT_EQ(step.steps_per_epoch(), 3);
  std::vector<nlohmann::json> lines;
  for (const nlohmann::json& one : tests::metrics_of(folder_ / "r")) {
    if (one.at("phase") == "validation") lines.push_back(one);
  }
  ASSERT_EQ(lines.size(), 4U);
  std::int64_t best = -1;
  Beside::Figures best_figures, best_on_test;
  Tensors best_state;
  for (std::int64_t t = 0; t < 12; ++t) {
    step.backward(t);
    const double rate = t < 9 ? 0.1 : 100;
    step.update(
        [&](const std::string&, const at::Tensor& w, const at::Tensor& g) { return w - rate * g; });
    step.expect_same(saved(t + 1), "after step " + std::to_string(t + 1));
    step.take(saved(t + 1));
    if (t % 3 != 2) continue;
    // The batches of an evaluation have 256 images; its means are over all images.
    const std::int64_t epoch = t / 3;
    const Beside::Figures now = step.evaluate(step.data().validation, step.position(t));
    const nlohmann::json& line = lines[static_cast<std::size_t>(epoch)];
    EXPECT_NEAR(line.at("loss").get<double>(), now.loss, 1e-3 * now.loss) << epoch;
    EXPECT_NEAR(line.at("accuracy").get<double>(), now.accuracy, 1.01 / 300) << epoch;
    EXPECT_EQ(line.at("samples"), 300);
    if (best < 0 || now.accuracy > best_figures.accuracy ||
        (now.accuracy == best_figures.accuracy && now.loss < best_figures.loss)) {
      best = epoch;
      best_figures = now;
      best_on_test = step.evaluate(step.data().test, step.position(t));
      best_state = step.state();
    }
  }
  ASSERT_LT(best, 3) << "the last epoch should be bad";
  ASSERT_GT(best_figures.accuracy, 0.2) << "and one before good";
  EXPECT_EQ(result.at("best_epoch"), best + 1);
  EXPECT_EQ(result.at("selected_by"), "validation accuracy");
  EXPECT_EQ(result.at("validation_accuracy"), lines[static_cast<std::size_t>(best)].at("accuracy"));
  // The test metrics are those of the selected weights.
  EXPECT_NEAR(result.at("test_loss").get<double>(), best_on_test.loss, 1e-3 * best_on_test.loss);
  const auto chosen = runs::load_best(folder_ / "r" / "checkpoints");
  ASSERT_TRUE(chosen.has_value());
  EXPECT_EQ(chosen->step, 3 * (best + 1));
  for (const auto& [name, tensor] : storage::read_tensors(chosen->tensors, "model/")) {
    EXPECT_LT((tensor - best_state.at(name)).abs().max().item<double>(),
              1e-5 + 1e-4 * best_state.at(name).abs().max().item<double>())
        << name;
  }
}

/// Means and unbiased variances of the inputs of each batch norm while the float network `network`
/// processes `x`: a training pass that starts at 0 stores a tenth of them.
Tensors statistics_of(Model& network, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  Tensors seen;
  for (const NamedTensor& entry : network.state()) {
    if (entry.name.find(".running_") != std::string::npos) entry.tensor.zero_();
  }
  network.train(x, {});
  for (const NamedTensor& entry : network.state()) {
    if (entry.name.find(".running_") != std::string::npos) seen[entry.name] = entry.tensor * 10;
  }
  return seen;
}

/// A run of one step, and a reference for its final evaluation: float networks, one per member of
/// the ensemble, whose weights are the decoded ones.
class Recalibrated : public StepTest {
 protected:
  void expect_figures(const Words& settings, std::size_t members, std::int64_t batches,
                      std::int64_t batch_size = 32) {
    Words overrides = settings;
    overrides.insert(overrides.end(),
                     {"train.max_steps=1", "train.batch_size=" + std::to_string(batch_size)});
    const nlohmann::json result = run(overrides);
    EXPECT_EQ(result.at("bn_recalibration_batches"), batches);

    const at::NoGradGuard no_grad;
    Beside step = beside(overrides, {.batch_size = batch_size});
    Tensors state = saved(1);
    step.model().load(state);
    const auto encoded = step.model().encoded_weights(step.position(0));
    Tensors average;
    const config::Experiment given = experiment(overrides);
    const auto member_of = [&](std::size_t m) {
      auto network = std::make_unique<Model>(jobs::build_graph(given, registry_), Plan(),
                                             ModelOptions{.channels_last = true});
      Tensors weights;
      for (const NamedTensor& entry : network->state()) {
        weights[entry.name] = state.at(entry.name);
        const auto found = encoded.find(entry.name.substr(0, entry.name.rfind('.')));
        if (found == encoded.end() || !entry.name.ends_with(".weight")) continue;
        const at::Tensor all = decode(found->second);
        weights[entry.name] = members > 1 ? all.select(0, static_cast<std::int64_t>(m)) : all;
      }
      network->load(weights);
      return network;
    };
    // Each batch with each member has the same weight.
    for (std::int64_t batch = 0; batch < batches; ++batch) {
      for (std::size_t m = 0; m < members; ++m) {
        const Tensors seen =
            statistics_of(*member_of(m), step.batch(batch, /*drawn=*/false).images);
        for (const auto& [name, value] : seen) {
          at::Tensor& sum = average[name];
          const at::Tensor part =
              value / static_cast<double>(members) / static_cast<double>(batches);
          sum = sum.defined() ? sum + part : part;
        }
      }
    }
    ASSERT_FALSE(average.empty());
    const double before = loss_of(step, member_of, members, {});
    const double after = loss_of(step, member_of, members, average);
    ASSERT_GT(std::fabs(before - after), 0.05) << "recalibration changes too little to be seen";
    EXPECT_NEAR(result.at("test_loss_before_bn_recalibration").get<double>(), before,
                1e-4 * before);
    EXPECT_NEAR(result.at("test_loss").get<double>(), after, 1e-4 * after);
  }

 private:
  /// The loss of the members' mean logits on the test images.
  template <class MemberOf>
  double loss_of(Beside& step, const MemberOf& member_of, std::size_t members,
                 const Tensors& statistics) {
    std::vector<std::uint32_t> all(static_cast<std::size_t>(step.data().test.count()));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint32_t>(i);
    const StepBatch images = step.batch_of(step.data().test, all, /*drawn=*/false, 0);
    at::Tensor logits;
    for (std::size_t m = 0; m < members; ++m) {
      const auto network = member_of(m);
      for (const NamedTensor& entry : network->state()) {
        if (statistics.count(entry.name) != 0) entry.tensor.copy_(statistics.at(entry.name));
      }
      const at::Tensor one =
          network->evaluate(images.images, step.position(0)) / static_cast<double>(members);
      logits = logits.defined() ? logits + one : one;
    }
    return cross_entropy_by_hand(logits, images.labels).item<double>();
  }
};

// On the training images without augmentation, whatever the training uses.
TEST_F(Recalibrated, AFloatNetwork) {
  expect_figures({"train.bn_recalibrate=2", "augment.crop_padding=2", "augment.flip=true"}, 1, 2);
}

TEST_F(Recalibrated, BinaryWeights) {
  expect_figures({"train.bn_recalibrate=2", "quantizer.name=bwn"}, 1, 2);
}

TEST_F(Recalibrated, AnEnsemble) {
  expect_figures(
      {"train.bn_recalibrate=2", "quantizer.name=binaryconnect", "quantizer.mode=stochastic",
       "quantizer.test_weights=ensemble", "quantizer.samples=2"},
      2, 2);
}

TEST_F(Recalibrated, OnWholeBatchesAlone) {
  // 135 images give two batches of 60; a last batch of 15 would have the same weight as one of 60.
  expect_figures({"train.bn_recalibrate=3"}, 1, 2, 60);
}

TEST_F(StepTest, TheTestLineIsTheMeanOverAllImages) {
  const Words overrides = {"train.max_steps=1", "train.evaluation_batch_size=100"};
  const nlohmann::json result = run(overrides);
  Beside step = beside(overrides);
  step.backward(0);
  step.update(plain_step);
  const Beside::Figures test = step.evaluate(step.data().test, step.position(0));
  EXPECT_NEAR(line("test").at("loss").get<double>(), test.loss, 1e-5 * test.loss);
  EXPECT_NEAR(line("test").at("accuracy").get<double>(), test.accuracy, 1.01 / 450);
  EXPECT_EQ(result.at("test_loss"), line("test").at("loss"));
  EXPECT_EQ(result.at("test_accuracy"), line("test").at("accuracy"));
}

}  // namespace
}  // namespace qhost::training
