/// lowering/passes/add_correction_bias.h: a place for what Traits::bias_correction adds to a node.
///
/// The correction c is one float32 per output channel: y = conv(x) + b + c. A node with a bias takes
/// it in (b + c). A node without one gets a bias tensor NODE.bias, float32 [Cout]; but with
/// CorrectionPlace::batch_norm_behind not where a batch norm alone reads the node, whose shift takes
/// c in when files are written: gamma (y + c - mean) / sigma + beta.
///
/// Afterwards no node has `corrects_bias`.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

enum class CorrectionPlace { own_bias, batch_norm_behind };

void add_correction_bias(InferenceGraph& graph, CorrectionPlace place);

/// The batch norm that alone reads node `index`, or -1.
int sole_batch_norm(const InferenceGraph& graph, int index);
/// Gives the node a bias tensor without contents, unless it has one.
void ensure_bias(InferenceGraph& graph, InferenceNode& node);

}  // namespace qhost
