/// jobs/requirements.h: checks that involve the network and its methods together, which neither the
/// declaration of a key nor a rule can make alone.
#pragma once

#include "config/experiment.h"
#include "model/plan.h"

namespace qhost::jobs {

/// Throws Error (configuration) with all errors, each at its key: if [augment] does not fit the
/// network's input (a crop or a cutout larger than the image, values for another number of
/// channels); if `train.bn_recalibrate` is set and the network has no batch norm, or a folded one;
/// if a method corrects biases (Traits::bias_correction) and the network is trained afterwards or
/// evaluated as an ensemble.
void require_possible(const config::Experiment& experiment, const Graph& graph, const Plan& plan);

}  // namespace qhost::jobs
