/// training/evaluate.h: the figures of a network on a set of images.
#pragma once

#include <optional>

#include "config/experiment.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/loss.h"
#include "training/metrics.h"

namespace qhost::training {

/// Runs the quantized network over all of `split`, in stored order, in float32. With
/// `record_code_use` the first batch also fills model.code_use(). Throws Interrupted between two
/// batches (training/interrupt.h). With `unsmoothed` the result has that loss, too.
MetricsResult evaluate(Model& model, const data::Split& split, const Shape& image,
                       std::int64_t classes, const data::AugmentOptions& normalization,
                       std::int64_t batch_size, const LossFunction& loss,
                       const RunPosition& position, bool record_code_use = false,
                       const LossFunction& unsmoothed = {});

/// What a run ends with, and what evaluating it again gives.
struct EvaluationResult {
  MetricsResult metrics;
  /// With the running statistics as training left them, where `train.bn_recalibrate` replaces them.
  std::optional<MetricsResult> before_recalibration;
  std::int64_t recalibration_batches = 0;  ///< fewer than asked for when there are no more
};

/// The loss of these [train] options without label smoothing; empty where they have none.
LossFunction unsmoothed_loss(const Options& train);

/// evaluate() as the experiment says. With `train.bn_recalibrate` = N the batch norms' statistics
/// then become those of the first N batches of `train.batch_size` training images, normalized and
/// not augmented, in the order of epoch 0, and evaluate() runs again: what follows from the weights
/// and the configuration alone. The model keeps the new statistics; no checkpoint gets them.
EvaluationResult evaluate_final(Model& model, const config::Experiment& experiment,
                                const data::Dataset& data, const data::Split& split,
                                const RunPosition& position, bool record_code_use = false);

/// "batch norms recalibrated on 16 training batches: accuracy 50.00 % before, 51.00 % after"; ""
/// where they were not.
std::string recalibration_text(const EvaluationResult& evaluation);

}  // namespace qhost::training
