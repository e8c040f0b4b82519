#include "training/divergence.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "data/data_loader.h"
#include "qhost/error.h"
#include "training/batch.h"
#include "training/loss.h"

namespace qhost::training {
namespace {

struct Cause {
  std::string text;
  std::vector<std::string> helps;
};

constexpr const char* slower =
    "lower optimizer.learning_rate, warm up (schedule.warmup_epochs) or clip "
    "(train.gradient_clip); "
    "an earlier checkpoint may still be good (qhost eval RUN --checkpoint STEP)";

std::optional<Cause> cause_in_state(const Model& model) {
  for (const NamedTensor& entry : model.state()) {
    const at::Tensor bad = at::isfinite(entry.tensor).logical_not_();
    const auto count = bad.sum().item<std::int64_t>();
    if (count == 0) continue;
    const std::string text = entry.name + ": " + std::to_string(count) + " of " +
                             std::to_string(entry.tensor.numel()) + " values are not finite";
    // The state lists a batch norm's mean before its variance, so the mean is finite here.
    const bool variance =
        entry.name.ends_with(".running_var") && at::isnan(entry.tensor).any().item<bool>();
    return Cause{
        text,
        {variance ? "a batch with a single value per channel leaves a batch norm no "
                    "variance: train with train.drop_last = true or another train.batch_size"
                  : slower}};
  }
  return {};
}

/// The cause in the first batch with a loss that is not finite, if all weights are finite.
std::optional<Cause> cause_in_batches(const Evaluated& evaluated, Model& model,
                                      const config::Experiment& experiment,
                                      const RunPosition& position) {
  const Options& train = experiment.train;
  const LossFunction loss = make_loss(train.string("loss"), train.real("label_smoothing"));
  const data::DataLoader batches(
      evaluated.split, evaluated.data.image,
      data::evaluation_options(experiment.augment, evaluated.data), position.seed,
      std::min(train.integer("evaluation_batch_size"), evaluated.split.count()),
      /*shuffle=*/false, /*drop_last=*/false);
  BatchBuffer buffer(evaluated.data.image, batches.batch_size(), model.options());
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    const Batch batch = buffer.fill(batches, 0, step);
    const at::Tensor logits = model.evaluate(batch.images, position);
    if (std::isfinite(loss(logits, batch.labels).item<double>())) continue;
    const std::string node = model.first_non_finite(batch.images, position, Mode::evaluate);
    const std::string where =
        "images from number " + std::to_string(step * batches.batch_size()) + " on: ";
    std::vector<std::string> helps = {
        position.step > 0 ? slower
                          : "no step of training was taken: do the weights fit the images as "
                            "[augment] normalizes them?"};
    if (!model.plan().is_float()) {
      helps.emplace_back("quantizer.name=none shows what the same weights give in float");
    }
    if (!node.empty()) {
      return Cause{
          where + "all weights are finite, and the first output that is not is that of " + node,
          helps};
    }
    return Cause{where + "all outputs are finite, up to " +
                     std::to_string(logits.abs().max().item<double>()) + ", but not their loss",
                 helps};
  }
  return {};
}

std::string text(double loss) {
  return std::isnan(loss) ? "nan" : loss > 0 ? "inf" : "-inf";
}

}  // namespace

void require_finite_metrics(const MetricsResult& metrics, const Evaluated& evaluated, Model& model,
                            const config::Experiment& experiment, const RunPosition& position) {
  if (std::isfinite(metrics.loss)) return;
  const at::NoGradGuard no_grad;
  std::optional<Cause> cause = cause_in_state(model);
  if (!cause) cause = cause_in_batches(evaluated, model, experiment, position);
  Error error(ErrorKind::diverged, "the " + evaluated.name + " loss is " + text(metrics.loss) +
                                       ", so that its accuracy says nothing" +
                                       (cause ? "\n  " + cause->text : ""));
  for (const std::string& help : cause ? cause->helps : std::vector<std::string>{slower}) {
    error.add_help(help);
  }
  throw error;
}

}  // namespace qhost::training
