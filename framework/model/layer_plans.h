/// model/layer_plans.h: what a plan decides for each node, as lowering and the reports read it.
#pragma once

#include <cstdint>

#include "lowering/layer_plan.h"
#include "model/plan.h"

namespace qhost {

/// Of the slots that quantize in `epoch`: encodings, methods, elisions, folding and corrections.
LayerPlans slot_plans(const Graph& graph, const Plan& plan, std::int64_t epoch);
/// Of every slot, whatever its phases, with what a summary says of elisions and gradients.
LayerPlans layer_plans(const Graph& graph, const Plan& plan);

}  // namespace qhost
