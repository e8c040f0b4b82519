/// training/divergence.h: reports an evaluation whose loss is not finite.
#pragma once

#include <string>

#include "config/experiment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "training/metrics.h"

namespace qhost::training {

/// The subject of the evaluation.
struct Evaluated {
  const data::Dataset& data;
  const data::Split& split;
  std::string name;  ///< "test", "validation"
};

/// Returns if the loss of `metrics` is finite. Otherwise throws Error (diverged), which names the
/// first tensor of the model that is not finite, else the first node whose output is not finite for
/// the first batch with such a loss, and gives a help. `model` must be as it was evaluated.
void require_finite_metrics(const MetricsResult& metrics, const Evaluated& evaluated, Model& model,
                            const config::Experiment& experiment, const RunPosition& position);

}  // namespace qhost::training
