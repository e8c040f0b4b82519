/// training/evaluate.h: measures a network on a set of images.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "config/experiment.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/loss.h"
#include "training/metrics.h"
#include "training/progress.h"

namespace qhost::training {

/// Called after each batch with the images done so far.
using EvaluationWatch = std::function<void(std::int64_t done, std::int64_t of)>;

struct EvaluationSettings {
  Shape image;
  std::int64_t classes = 0;
  data::AugmentOptions normalization;
  std::int64_t batch_size = 1;
  LossFunction loss;
  LossFunction unsmoothed = {};  ///< not empty: the result also has this loss
};
/// Reports to `progress` as this activity, with the time left of it.
EvaluationWatch watch(Progress& progress, const std::string& activity);

/// As the experiment says.
EvaluationSettings evaluation_settings(const config::Experiment& experiment,
                                       const data::Dataset& data);

/// Runs the quantized network on all of `split`, in stored order, in float32. With
/// `record_code_use`, the first batch also fills model.code_use(). Throws Interrupted between two
/// batches (training/interrupt.h).
MetricsResult evaluate(Model& model, const data::Split& split, const EvaluationSettings& settings,
                       const RunPosition& position, const EvaluationWatch& watch = {},
                       bool record_code_use = false);

/// The final evaluation of a run. Evaluating the run again gives the same.
struct EvaluationResult {
  MetricsResult metrics;
  /// With the running statistics of the training, if `train.bn_recalibrate` replaces them.
  std::optional<MetricsResult> before_recalibration;
  std::int64_t recalibration_batches = 0;  ///< fewer than requested if there are no more
};

/// Recomputes the statistics of the batch norms from the first `train.bn_recalibrate` batches, see
/// evaluate_final(). Returns how many batches there were.
std::int64_t recalibrate(Model& model, const config::Experiment& experiment,
                         const data::Dataset& data, const RunPosition& position);

/// Calls evaluate() as the experiment says; `watch` is called in each pass. With `train.bn_recalibrate` = N, the statistics of the
/// batch norms are then recomputed from the first N batches of `train.batch_size` training images,
/// normalized and not augmented, in the order of epoch 0, and evaluate() runs again. They follow
/// from the weights and the configuration alone. The model keeps the new statistics; no checkpoint
/// stores them.
EvaluationResult evaluate_final(Model& model, const config::Experiment& experiment,
                                const data::Dataset& data, const data::Split& split,
                                const RunPosition& position, const EvaluationWatch& watch = {},
                                bool record_code_use = false);

/// "batch norms recalibrated on 16 training batches: accuracy 50.00 % before, 51.00 % after"; ""
/// without recalibration.
std::string recalibration_text(const EvaluationResult& evaluation);

}  // namespace qhost::training
