#include "training/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "common/number_text.h"
#include "data/data_loader.h"
#include "qhost/error.h"
#include "storage/failpoint.h"
#include "training/batch.h"
#include "training/batch_sizes.h"
#include "training/interrupt.h"
#include "training/plain_batches.h"

namespace qhost::training {
namespace {

/// Returns the number of batches. Uses whole batches only, since the average weights all alike.
std::int64_t recalibrate(Model& model, const config::Experiment& experiment,
                         const data::Dataset& data, const RunPosition& position) {
  require_batches(experiment, model.graph(), data.train.count(), {.recalibration = true});
  PlainBatches batches(experiment, data, model.options(),
                       experiment.train.integer("bn_recalibrate"),
                       experiment.train.integer("batch_size"), /*drop_last=*/true);
  for (std::int64_t batch = 0; batch < batches.count(); ++batch) {
    InterruptGuard::stop_if_asked();
    model.recalibrate_batch_norms(batches.images(batch), position, batch);
  }
  return batches.count();
}

}  // namespace

MetricsResult evaluate(Model& model, const data::Split& split, const Shape& image,
                       std::int64_t classes, const data::AugmentOptions& normalization,
                       std::int64_t batch_size, const LossFunction& loss,
                       const RunPosition& position, bool record_code_use,
                       const LossFunction& unsmoothed) {
  const at::NoGradGuard no_grad;
  const Doing doing(Activity::evaluating);
  const data::DataLoader batches(split, image, normalization, position.seed,
                                 std::min(batch_size, split.count()),
                                 /*shuffle=*/false, /*drop_last=*/false);
  BatchBuffer buffer(image, batches.batch_size(), model.options());
  Metrics metrics(classes, model.options().device);
  double unsmoothed_sum = 0;
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    InterruptGuard::stop_if_asked();
    const Batch batch = buffer.fill(batches, 0, step);
    if (record_code_use && step == 0) model.record_code_use();
    const at::Tensor logits = model.evaluate(batch.images, position);
    metrics.add(logits, batch.labels, loss(logits, batch.labels));
    if (unsmoothed) {
      unsmoothed_sum += unsmoothed(logits, batch.labels).item<double>() *
                        static_cast<double>(batch.labels.size(0));
    }
    storage::failpoint("evaluate.batch");
  }
  MetricsResult result = metrics.result();
  if (unsmoothed) result.unsmoothed_loss = unsmoothed_sum / static_cast<double>(result.samples);
  return result;
}

LossFunction unsmoothed_loss(const Options& train) {
  return train.real("label_smoothing") > 0 ? make_loss(train.string("loss"), 0) : LossFunction();
}

EvaluationResult evaluate_final(Model& model, const config::Experiment& experiment,
                                const data::Dataset& data, const data::Split& split,
                                const RunPosition& position, bool record_code_use) {
  const Options& train = experiment.train;
  const LossFunction loss = make_loss(train.string("loss"), train.real("label_smoothing"));
  const auto evaluated = [&](bool record) {
    return evaluate(
        model, split, data.image, data.classes, data::evaluation_options(experiment.augment, data),
        train.integer("evaluation_batch_size"), loss, position, record, unsmoothed_loss(train));
  };
  EvaluationResult result;
  if (train.integer("bn_recalibrate") > 0) {
    result.before_recalibration = evaluated(false);
    result.recalibration_batches = recalibrate(model, experiment, data, position);
  }
  result.metrics = evaluated(record_code_use);
  return result;
}

std::string recalibration_text(const EvaluationResult& evaluation) {
  if (!evaluation.before_recalibration) return "";
  return "batch norms recalibrated on " + std::to_string(evaluation.recalibration_batches) +
         " training batches: accuracy " + fixed(100 * evaluation.before_recalibration->top1, 2) +
         " % before, " + fixed(100 * evaluation.metrics.top1, 2) + " % after";
}

}  // namespace qhost::training
