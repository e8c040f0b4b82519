#include "training/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

#include "common/number_text.h"
#include "data/data_loader.h"
#include "qhost/error.h"
#include "storage/failpoint.h"
#include "training/batch.h"
#include "training/batch_sizes.h"
#include "training/interrupt.h"
#include "training/plain_batches.h"

namespace qhost::training {

/// Uses whole batches only, since the average weights all alike.
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

EvaluationWatch watch(Progress& progress, const std::string& activity) {
  using Clock = std::chrono::steady_clock;
  return [&progress, activity, start = Clock::now()](std::int64_t done, std::int64_t of) {
    const std::chrono::duration<double> passed = Clock::now() - start;
    const double left = passed.count() / static_cast<double>(done) * static_cast<double>(of - done);
    progress.activity({.activity = activity, .done = done, .of = of, .seconds_left = left});
  };
}

EvaluationSettings evaluation_settings(const config::Experiment& experiment,
                                       const data::Dataset& data) {
  const Options& train = experiment.train;
  const std::string loss = train.string("loss");
  const double smoothing = train.real("label_smoothing");
  return {.image = data.image,
          .classes = data.classes,
          .normalization = data::evaluation_options(experiment.augment, data),
          .batch_size = train.integer("evaluation_batch_size"),
          .loss = make_loss(loss, smoothing),
          .unsmoothed = smoothing > 0 ? make_loss(loss, 0) : LossFunction()};
}

MetricsResult evaluate(Model& model, const data::Split& split, const EvaluationSettings& settings,
                       const RunPosition& position, const EvaluationWatch& watch,
                       bool record_code_use) {
  const at::NoGradGuard no_grad;
  const Doing doing(Activity::evaluating);
  const data::DataLoader batches(split, settings.image, settings.normalization, position.seed,
                                 std::min(settings.batch_size, split.count()),
                                 /*shuffle=*/false, /*drop_last=*/false);
  BatchBuffer buffer(settings.image, batches.batch_size(), model.options());
  Metrics metrics(settings.classes, model.options().device);
  double unsmoothed_sum = 0;
  std::int64_t done = 0;
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    InterruptGuard::stop_if_asked();
    const Batch batch = buffer.fill(batches, 0, step);
    if (record_code_use && step == 0) model.record_code_use();
    const at::Tensor logits = model.evaluate(batch.images, position);
    metrics.add(logits, batch.labels, settings.loss(logits, batch.labels));
    if (settings.unsmoothed) {
      unsmoothed_sum += settings.unsmoothed(logits, batch.labels).item<double>() *
                        static_cast<double>(batch.labels.size(0));
    }
    done += batch.labels.size(0);
    if (watch) watch(done, split.count());
    storage::failpoint("evaluate.batch");
  }
  MetricsResult result = metrics.result();
  if (settings.unsmoothed) {
    result.unsmoothed_loss = unsmoothed_sum / static_cast<double>(result.samples);
  }
  return result;
}

EvaluationResult evaluate_final(Model& model, const config::Experiment& experiment,
                                const data::Dataset& data, const data::Split& split,
                                const RunPosition& position, const EvaluationWatch& watch,
                                bool record_code_use) {
  const EvaluationSettings settings = evaluation_settings(experiment, data);
  EvaluationResult result;
  if (experiment.train.integer("bn_recalibrate") > 0) {
    result.before_recalibration = evaluate(model, split, settings, position, watch);
    result.recalibration_batches = recalibrate(model, experiment, data, position);
  }
  result.metrics = evaluate(model, split, settings, position, watch, record_code_use);
  return result;
}

std::string recalibration_text(const EvaluationResult& evaluation) {
  if (!evaluation.before_recalibration) return "";
  return "batch norms recalibrated on " + std::to_string(evaluation.recalibration_batches) +
         " training batches: accuracy " + fixed(100 * evaluation.before_recalibration->top1, 2) +
         " % before, " + fixed(100 * evaluation.metrics.top1, 2) + " % after";
}

}  // namespace qhost::training
