/// lowering/passes/drop_dropout.h: dropout is the identity in inference: y = x. What reads it reads
/// its input instead.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

void drop_dropout(InferenceGraph& graph);

}  // namespace qhost
