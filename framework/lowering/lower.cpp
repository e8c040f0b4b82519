#include "lowering/lower.h"

#include "lowering/passes/add_correction_bias.h"
#include "lowering/passes/bypass_relu.h"
#include "lowering/passes/count_networks.h"
#include "lowering/passes/drop_dead.h"
#include "lowering/passes/drop_dropout.h"
#include "lowering/passes/fold_batch_norm.h"

namespace qhost {
namespace {

Pass correction(CorrectionPlace place) {
  return {"add_correction_bias",
          [place](InferenceGraph& graph) { add_correction_bias(graph, place); }};
}

Pass fold(FoldWhere where) {
  return {"fold_batch_norm", [where](InferenceGraph& graph) { fold_batch_norm(graph, where); }};
}

}  // namespace

std::vector<Pass> passes_for(Purpose purpose) {
  switch (purpose) {
    case Purpose::training:
      return {{"bypass_relu", bypass_relu}, {"drop_dead", drop_dead}};
    case Purpose::evaluation:
      return {{"bypass_relu", bypass_relu},
              correction(CorrectionPlace::own_bias),
              fold(FoldWhere::methods_that_fold),
              {"drop_dropout", drop_dropout},
              {"drop_dead", drop_dead}};
    case Purpose::summary:
      return {correction(CorrectionPlace::batch_norm_behind)};
    case Purpose::score_as_trained:
      return {{"bypass_relu", bypass_relu},
              correction(CorrectionPlace::batch_norm_behind),
              {"drop_dead", drop_dead},
              {"count_networks", count_networks}};
    case Purpose::score_folded:
      return {{"bypass_relu", bypass_relu},
              correction(CorrectionPlace::batch_norm_behind),
              fold(FoldWhere::every_layer),
              {"drop_dead", drop_dead},
              {"count_networks", count_networks}};
  }
  return {};
}

InferenceGraph lower(InferenceGraph graph, Purpose purpose) {
  for (const Pass& pass : passes_for(purpose)) pass.run(graph);
  return graph;
}

}  // namespace qhost
