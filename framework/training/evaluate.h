/// training/evaluate.h: the figures of a network on a set of images.
#pragma once

#include "data/augment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/loss.h"
#include "training/metrics.h"

namespace qhost::training {

/// Runs the quantized network over all of `split`, in stored order, in float32. With
/// `record_code_use` the first batch also fills model.code_use().
MetricsResult evaluate(Model& model, const data::Split& split, const Shape& image,
                       std::int64_t classes, const data::AugmentOptions& normalisation,
                       std::int64_t batch_size, const LossFunction& loss,
                       const RunPosition& position, bool record_code_use = false);

}  // namespace qhost::training
