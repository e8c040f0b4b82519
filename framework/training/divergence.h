/// training/divergence.h: an evaluation whose loss is not finite is no result.
#pragma once

#include <string>

#include "config/experiment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/metrics.h"

namespace qhost::training {

/// What was evaluated.
struct Evaluated {
  const data::Dataset& data;
  const data::Split& split;
  std::string name;  ///< "test", "validation"
};

/// Returns when the loss of `metrics` is finite. Else throws Error (diverged), which names the
/// first tensor of the model that is not finite, else the first node whose output is not for the
/// first batch with such a loss, and says what to do about that. `model` is as it was evaluated.
void require_finite_metrics(const MetricsResult& metrics, const Evaluated& evaluated, Model& model,
                            const config::Experiment& experiment, const RunPosition& position);

}  // namespace qhost::training
