/// lowering/lower.h: the passes, in their order, for each purpose.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "graph/inference_graph.h"

namespace qhost {

/// One rewriting of an inference graph, as a file of lowering/passes has it.
struct Pass {
  std::string_view name;
  std::function<void(InferenceGraph&)> run;
};

enum class Purpose {
  training,          ///< which nodes training computes once its quantizers elide ReLUs
  evaluation,        ///< what Model::evaluate computes, and what is stored of it
  summary,           ///< the network as it is trained, with what a correction adds
  score_as_trained,  ///< as scoring rules count that leave batch norms where they are
  score_folded,      ///< as scoring rules count that fold every batch norm that can be folded
};

std::vector<Pass> passes_for(Purpose purpose);
/// Carries them out on a graph that start_graph() made.
InferenceGraph lower(InferenceGraph graph, Purpose purpose);

}  // namespace qhost
