/// A few steps of the real loop, from an experiment file to its checkpoints and metrics.jsonl, and
/// the same steps computed beside it: plain ATen with the gradients of Model::train, and the
/// settings of the file written again. The reference uses no code of the loop, the optimizers, the
/// schedules, the losses or the augmentation, so that a setting which the loop drops shows.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/process.h"
#include "config/load.h"
#include "data/data_loader.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "model/model.h"
#include "runs/checkpoint.h"
#include "storage/tensor_bytes.h"
#include "training/ran.h"

namespace qhost::training {

using Words = std::vector<std::string>;
using Tensors = std::map<std::string, at::Tensor>;

class Silent : public Progress {
 public:
  void step(const StepReport&) override {}
  void epoch(const EpochReport&) override {}
  void note(const std::string&) override {}
};

/// The settings of the experiment file, written again for the reference steps.
struct Told {
  ModelOptions model{.precision = Precision::fp32, .channels_last = true};
  std::uint64_t seed = 1;
  std::int64_t batch_size = 32;
  std::int64_t epochs = 1;
  std::int64_t crop_padding = 0;
  bool reflect = false, flip = false;
  std::int64_t cutout = 0;
  std::vector<float> mean, std;  ///< empty: those of the digits
};

/// -(1/N) sum_n log softmax(y)[n, label]; `smoothing` mixes the label with 1/classes.
inline at::Tensor cross_entropy_by_hand(const at::Tensor& y, const at::Tensor& labels,
                                        double smoothing = 0) {
  const at::Tensor logs = y - y.logsumexp(1, /*keepdim=*/true);
  const at::Tensor of_label = -logs.gather(1, labels.unsqueeze(1)).mean();
  return (1 - smoothing) * of_label - smoothing * logs.mean();
}

/// Mean of max(0, 1 - t y)^2, t = +1 for the label and -1 for the others.
inline at::Tensor squared_hinge_by_hand(const at::Tensor& y, const at::Tensor& labels) {
  const at::Tensor t = at::full_like(y, -1).scatter(1, labels.unsqueeze(1), 1.0).detach();
  return (1 - t * y).clamp_min(0).pow(2).mean();
}

struct StepBatch {
  at::Tensor images, labels;
};

class Beside {
 public:
  using Loss = std::function<at::Tensor(const at::Tensor& logits, const at::Tensor& labels)>;
  /// The new value of the parameter `name`, all in float64.
  using Rule =
      std::function<at::Tensor(const std::string& name, const at::Tensor& w, const at::Tensor& g)>;

  Beside(const config::Experiment& experiment, Registry& registry, Told told)
      : told_(std::move(told)),
        data_(jobs::load_data(experiment)),
        model_(jobs::build_graph(experiment, registry),
               jobs::build_plan(experiment, registry, jobs::build_graph(experiment, registry)),
               told_.model) {
    model_.initialize(position(0));
    remember();
  }

  Model& model() { return model_; }
  const data::Dataset& data() const { return data_; }
  std::int64_t steps_per_epoch() const {
    return (data_.train.count() + told_.batch_size - 1) / told_.batch_size;
  }
  RunPosition position(std::int64_t step) const {
    return {.epoch = step / steps_per_epoch(),
            .epochs = told_.epochs,
            .step = step,
            .steps = told_.epochs * steps_per_epoch(),
            .seed = told_.seed};
  }

  /// One image as the network receives it: padded, cropped, mirrored, normalized, cut.
  at::Tensor image(const data::Split& split, std::int64_t index, bool drawn,
                   std::int64_t epoch) const {
    const std::int64_t channels = data_.image.channels(), height = data_.image.height(),
                       width = data_.image.width();
    std::vector<float> numbers;
    for (std::int64_t p = 0; p < channels * height * width; ++p) {
      numbers.push_back(
          split.pixels[static_cast<std::size_t>(index * channels * height * width + p)]);
    }
    at::Tensor x = at::tensor(numbers).reshape({1, channels, height, width});
    data::AugmentDraw draw;
    if (drawn) {
      const data::Augmenter drawing(data_.image, {.crop_padding = told_.crop_padding,
                                                  .flip = told_.flip,
                                                  .cutout = told_.cutout,
                                                  .mean = data_.mean,
                                                  .std = data_.std});
      draw = drawing.draw(told_.seed, epoch, index);
      if (const std::int64_t p = told_.crop_padding; p > 0) {
        x = told_.reflect ? at::reflection_pad2d(x, {p, p, p, p})
                          : at::constant_pad_nd(x, {p, p, p, p}, 0);
        x = x.slice(2, p + draw.dy, p + draw.dy + height)
                .slice(3, p + draw.dx, p + draw.dx + width);
      }
      if (draw.flip) x = x.flip({3});
    }
    x = x.clone();
    const std::vector<float>& mean = told_.mean.empty() ? data_.mean : told_.mean;
    const std::vector<float>& std = told_.std.empty() ? data_.std : told_.std;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto k = static_cast<std::size_t>(c);
      // One float32 subtraction and one multiplication: the rounding that data/augment.h promises.
      const auto offset = static_cast<float>(255.0 * double{mean[k]});
      const auto factor = static_cast<float>(1.0 / (255.0 * double{std[k]}));
      x.select(1, c).sub_(offset).mul_(factor);
    }
    if (drawn && told_.cutout > 0) {
      const std::int64_t y0 = draw.cut_y - told_.cutout / 2, x0 = draw.cut_x - told_.cutout / 2;
      x.slice(2, std::max<std::int64_t>(y0, 0), std::min(y0 + told_.cutout, height))
          .slice(3, std::max<std::int64_t>(x0, 0), std::min(x0 + told_.cutout, width))
          .zero_();
    }
    return x;
  }

  StepBatch batch_of(const data::Split& split, const std::vector<std::uint32_t>& indices,
                     bool drawn, std::int64_t epoch) const {
    std::vector<at::Tensor> images;
    std::vector<std::int64_t> labels;
    for (const std::uint32_t index : indices) {
      images.push_back(image(split, index, drawn, epoch));
      labels.push_back(split.labels[index]);
    }
    const at::Tensor all = at::cat(images);
    // Not contiguous(): an image with one channel is contiguous in both layouts, with the strides
    // of one of them.
    return {at::empty(all.sizes(),
                      at::TensorOptions(at::kFloat)
                          .memory_format(told_.model.channels_last ? at::MemoryFormat::ChannelsLast
                                                                   : at::MemoryFormat::Contiguous))
                .copy_(all),
            at::tensor(labels)};
  }

  /// The images of a training step: those at its position in the epoch's permutation.
  StepBatch batch(std::int64_t step, bool drawn = true) const {
    const std::int64_t epoch = step / steps_per_epoch();
    const auto order = data::epoch_permutation(told_.seed, epoch, data_.train.count());
    const std::int64_t first = step % steps_per_epoch() * told_.batch_size;
    const std::int64_t last = std::min(first + told_.batch_size, data_.train.count());
    return batch_of(data_.train, {order.begin() + first, order.begin() + last}, drawn, epoch);
  }

  /// Forward and backward of `step`; returns the loss. The gradients are in the model's tensors.
  double backward(
      std::int64_t step, const Loss& loss = [](const at::Tensor& y, const at::Tensor& labels) {
        return cross_entropy_by_hand(y, labels);
      }) {
    for (const NamedTensor& entry : model_.state()) entry.tensor.mutable_grad() = at::Tensor();
    const StepBatch now = batch(step);
    last_images_ = now.labels.size(0);
    const at::Tensor logits = model_.train(now.images, position(step));
    last_correct_ = logits.argmax(1).eq(now.labels).sum().item<std::int64_t>();
    const at::Tensor value = loss(logits, now.labels);
    value.backward();
    return value.item<double>();
  }
  std::int64_t last_images() const { return last_images_; }
  std::int64_t last_correct() const { return last_correct_; }

  /// Updates every trainable parameter by the rule. Model::after_step is not called.
  void update(const Rule& rule) {
    const at::NoGradGuard no_grad;
    for (const NamedTensor& entry : model_.state()) {
      if (!entry.trainable || !entry.tensor.grad().defined()) continue;
      entry.tensor.copy_(
          rule(entry.name, entry.tensor.to(at::kDouble), entry.tensor.grad().to(at::kDouble)));
    }
  }

  /// The Euclidean norm of all gradients together.
  double gradient_norm() const {
    double squares = 0;
    for (const NamedTensor& entry : model_.state()) {
      if (!entry.tensor.grad().defined()) continue;
      squares += entry.tensor.grad().to(at::kDouble).square().sum().item<double>();
    }
    return std::sqrt(squares);
  }

  /// Loss, accuracy and number of images of a whole split in batches of 256, in evaluation mode.
  struct Figures {
    double loss = 0, accuracy = 0;
  };
  Figures evaluate(const data::Split& split, const RunPosition& position, double smoothing = 0) {
    const at::NoGradGuard no_grad;
    std::vector<std::uint32_t> all;
    for (std::int64_t i = 0; i < split.count(); ++i) all.push_back(static_cast<std::uint32_t>(i));
    const StepBatch images = batch_of(split, all, /*drawn=*/false, 0);
    const at::Tensor logits = model_.evaluate(images.images, position);
    return {cross_entropy_by_hand(logits, images.labels, smoothing).item<double>(),
            logits.argmax(1).eq(images.labels).to(at::kDouble).mean().item<double>()};
  }

  Tensors state() const {
    Tensors copies;
    for (const NamedTensor& entry : model_.state()) {
      copies[entry.name] = entry.tensor.detach().clone();
    }
    return copies;
  }
  /// Continues from the saved state of the run, so that each step is compared by itself and no
  /// rounding error of a step grows in the next.
  void take(const Tensors& saved) {
    model_.load(saved);
    remember();
  }
  /// Stores the present state, from which expect_same() counts movements.
  void remember() { before_ = state(); }
  const Tensors& before() const { return before_; }

  /// Checks that each tensor of `saved` moved from the state of remember() as in the reference
  /// steps, to 1e-4 of the largest movement (and 4 units in the last place of the value).
  void expect_same(const Tensors& saved, const std::string& what) const {
    ASSERT_EQ(saved.size(), model_.state().size()) << what;
    for (const NamedTensor& entry : model_.state()) {
      const at::Tensor before = before_.at(entry.name).to(at::kDouble);
      const at::Tensor expected = entry.tensor.detach().to(at::kDouble);
      const at::Tensor got = saved.at(entry.name).to(at::kDouble);
      const double moved = (expected - before).abs().max().item<double>();
      const double allowed =
          1e-4 * moved + std::ldexp(expected.abs().max().item<double>(), -22) + 1e-12;
      EXPECT_LE((got - expected).abs().max().item<double>(), allowed)
          << what << ": " << entry.name << ", which should have moved by up to " << moved
          << " and moved by up to " << (got - before).abs().max().item<double>();
    }
  }

 private:
  Told told_;
  data::Dataset data_;
  Model model_;
  Tensors before_;
  std::int64_t last_images_ = 0, last_correct_ = 0;
};

/// The weights of convolutions and linear layers, to which decay applies.
inline bool is_weight(const at::Tensor& w) {
  return w.dim() >= 2;
}

/// Runs of a small ResNet on 135 digits. `extra` is added to the file.
class StepTest : public ::testing::Test {
 protected:
  StepTest() { folder_.write("e.toml", text()); }

  static std::string text() {
    return R"([data]
name = "digits"
fraction = 0.1

[model]
name = "resnet"
depth = 8

[train]
epochs = 1
batch_size = 32
threads = 1
seed = 1
verify = "off"
checkpoint_every_steps = 1
keep_checkpoints = 99

[optimizer]
name = "sgd"
learning_rate = 0.1
momentum = 0
)";
  }

  config::Experiment experiment(const Words& overrides) {
    jobs::ComponentCatalog catalog(registry_);
    return config::load_experiment_or_throw(folder_ / "e.toml", overrides, catalog)
        .at(0)
        .experiment;
  }
  /// The run's result.json.
  nlohmann::json run(const Words& overrides, const std::string& directory = "r") {
    jobs::RunRequest request;
    request.run_dir = (folder_ / directory).string();
    Silent silent;
    const tests::Ran result(
        jobs::run_experiment(experiment(overrides), request, registry_, silent));
    EXPECT_EQ(result.exit_code, 0);
    return result.json;
  }
  Beside beside(const Words& overrides, Told told = {}) {
    return Beside(experiment(overrides), registry_, std::move(told));
  }
  /// The state of the network in checkpoint `step` of the run.
  Tensors saved(std::int64_t step, const std::string& directory = "r") {
    char name[40];
    std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
    return storage::read_tensors(
        runs::load_checkpoint(folder_ / directory / "checkpoints" / name).tensors, "model/");
  }
  /// The only line of that phase, or the last one.
  nlohmann::json line(const std::string& phase, const std::string& directory = "r") {
    nlohmann::json found;
    for (const nlohmann::json& one : tests::metrics_of(folder_ / directory)) {
      if (one.at("phase") == phase) found = one;
    }
    EXPECT_FALSE(found.is_null()) << phase;
    return found;
  }
  static void expect_near(double got, double expected, const std::string& what) {
    EXPECT_NEAR(got, expected, 2e-6 * std::max(1.0, std::fabs(expected))) << what;
  }

  tests::Workshop folder_;
  Registry registry_{
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false}};
};

}  // namespace qhost::training
