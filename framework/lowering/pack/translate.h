/// lowering/pack/translate.h: an inference graph step by step, as evaluation computes it.
///
///     conv2d, linear   an encode step of a coded input, and the step with the codes of the weight:
///                          scale = weight scale * input scale        (as floats)
///                      an input scale per channel is no factor of a sum: encode, decode, and the
///                      step reads floats
///     batch_norm       affine with  a = gamma * (1 / sqrt(variance + epsilon))
///                                   b = fma(-mean, a, beta)
///     other nodes      an encode and a decode step in front of a coded input
///     dropout          nothing
///
/// Edges with equal codes and thresholds that read the same value share a step.
#pragma once

#include "graph/inference_graph.h"
#include "lowering/pack/input_codes.h"
#include "packed/program.h"

namespace qhost::packing {

/// Throws as qhost::pack() does.
packed::Program translate(const InferenceGraph& graph, const InputCodesByEdge& inputs);

}  // namespace qhost::packing
