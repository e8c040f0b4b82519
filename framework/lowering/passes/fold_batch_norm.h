/// lowering/passes/fold_batch_norm.h: a batch norm becomes part of the conv2d or linear node before
/// it.
///
///     f = gamma / sqrt(variance + epsilon)          per output channel
///     gamma (conv(x, W) + b - mean) / sqrt(variance + epsilon) + beta
///       = conv(x, f W) + beta - f (mean - b)
/// The factor f goes into a float weight, or into the entries of a codebook per channel; in front
/// of any other codes it joins their scale, which is one per channel then. The rest is the bias.
///
/// A batch norm is folded when it alone reads the node. `methods_that_fold`: of nodes whose method
/// encodes the folded weight (Traits::fold_batch_norm), so that the scale is the method's;
/// `every_layer`: of all, which is how scoring rules count. The graph has its structure only: the
/// contents of weight and bias are made afterwards, from what was trained (Error, internal,
/// otherwise). Afterwards no node has `folds_batch_norm`.
#pragma once

#include "graph/inference_graph.h"

namespace qhost {

enum class FoldWhere { methods_that_fold, every_layer };

void fold_batch_norm(InferenceGraph& graph, FoldWhere where);

}  // namespace qhost
