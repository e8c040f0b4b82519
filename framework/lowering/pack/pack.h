/// lowering/pack/pack.h: from the inference graph of a trained network to a packed program.
#pragma once

#include "graph/inference_graph.h"
#include "lowering/pack/input_codes.h"
#include "packed/program.h"

namespace qhost {

/// `graph` is that of Purpose::evaluation, with contents, and `inputs` has an entry for each of its
/// coded edges. The provenance stays empty. Throws Error (configuration) that names every node that
/// has no packed form, with the reason and what to do.
packed::Program pack(const InferenceGraph& graph, const InputCodesByEdge& inputs);

}  // namespace qhost
