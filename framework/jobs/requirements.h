/// jobs/requirements.h: what an experiment asks of its network and of its methods together,
/// which neither a key's declaration nor a rule can see alone.
#pragma once

#include "config/experiment.h"
#include "model/plan.h"

namespace qhost::jobs {

/// Throws Error (configuration) with all that is wrong, each at its key: where [augment] does not
/// fit the network's input (a crop or a cutout larger than the image, values for another number of
/// channels); where `train.bn_recalibrate` is set and the network has no batch norm, or a folded
/// one; where a method corrects biases (Traits::bias_correction) and the network is trained
/// afterwards, or evaluated as an ensemble.
void require_possible(const config::Experiment& experiment, const Graph& graph, const Plan& plan);

}  // namespace qhost::jobs
