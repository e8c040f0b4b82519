// The message for an evaluation whose loss is not finite, and its help.
#include "training/divergence.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include <limits>

#include "cli/process.h"
#include "config/load.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "training/evaluate.h"

namespace qhost::training {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Divergence : public ::testing::Test {
 protected:
  Divergence() {
    folder_.write("e.toml", tests::small_experiment());
    make("none");
  }
  void make(const std::string& quantizer) {
    jobs::ComponentCatalog catalog(registry_);
    experiment_ = config::load_experiment_or_throw(folder_ / "e.toml",
                                                   {"quantizer.name=" + quantizer}, catalog)
                      .at(0)
                      .experiment;
    model_ = jobs::build_model(experiment_, registry_);
    model_->initialize(at_);
    data_ = jobs::load_data(experiment_);
  }
  void fill(const std::string& name, double value) {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& entry : model_->state()) {
      if (entry.name == name) return void(at::Tensor(entry.tensor).fill_(value));
    }
    FAIL() << "no " << name;
  }
  /// The error, or "" for finite metrics.
  std::string complaint() {
    const MetricsResult figures =
        evaluate_final(*model_, experiment_, data_, data_.test, at_).metrics;
    try {
      require_finite_metrics(figures, {data_, data_.test, "test"}, *model_, experiment_, at_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::diverged);
      return error.what();
    }
    return "";
  }

  tests::Workshop folder_;
  Registry registry_{
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false}};
  config::Experiment experiment_;
  std::unique_ptr<Model> model_;
  data::Dataset data_;
  RunPosition at_{.epoch = 1, .epochs = 2, .step = 7, .steps = 10, .seed = 1};
};

TEST_F(Divergence, FiniteFiguresPass) {
  EXPECT_EQ(complaint(), "");
}

// at::batch_norm leaves this behind a batch of one value per channel.
TEST_F(Divergence, AVarianceThatIsNanIsNoMatterOfTheLearningRate) {
  fill("bn1.running_var", std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(complaint(),
            "the test loss is nan, so that its accuracy says nothing\n"
            "  bn1.running_var: 16 of 16 values are not finite\n"
            "help: a batch with a single value per channel leaves a batch norm no variance: train "
            "with train.drop_last = true or another train.batch_size");
}

TEST_F(Divergence, WeightsThatAreNotFiniteAreNamed) {
  fill("fc.weight", std::numeric_limits<double>::infinity());
  EXPECT_THAT(complaint(), HasSubstr("\n  fc.weight: 640 of 640 values are not finite\nhelp: lower "
                                     "optimizer.learning_rate, "));
}

TEST_F(Divergence, FiniteWeightsWhoseOutputsOverflow) {
  fill("bn1.weight", 3e38);
  fill("bn1.bias", 3e38);
  EXPECT_THAT(complaint(), HasSubstr("\n  images from number 0 on: all weights are finite, and the "
                                     "first output that is not is that of "));
  EXPECT_THAT(complaint(), Not(HasSubstr("in float")));
  at_.step = 0;
  EXPECT_THAT(complaint(), HasSubstr("help: no step of training was taken: do the weights fit the "
                                     "images as [augment] normalizes them?"));
  make("bwn");
  fill("bn1.weight", 3e38);
  fill("bn1.bias", 3e38);
  EXPECT_THAT(complaint(), HasSubstr("\nhelp: quantizer.name=none shows what the same weights give "
                                     "in float"));
}

}  // namespace
}  // namespace qhost::training
