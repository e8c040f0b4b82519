/// report/score_micronet.h: the pieces of the micronet rules. Internal to report/score; `real` is the
/// width of a float: 32, or 16 under the freebie.
#pragma once

#include "report/score_network.h"

namespace qhost::report {

/// Bits of one multiply of a weighted node: see report/score.h.
double multiply_bits(const ScoredNode& node, double real);
/// Bits of one add in a sum of `terms` products.
double add_bits(const ScoredNode& node, ScoreRule rule, double terms);
/// What a node without a weight stores and computes.
void count_without_weight(const ScoredNetwork& network, const ScoredNode& node, double real,
                          ScoreLayer& layer);

}  // namespace qhost::report
