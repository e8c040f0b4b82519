#include "lowering/pack/pack.h"

#include "common/defect.h"
#include "lowering/pack/passes/affine_into_encode.h"
#include "lowering/pack/passes/clip_into_encode.h"
#include "lowering/pack/passes/drop_dead_steps.h"
#include "lowering/pack/passes/fold_affine.h"
#include "lowering/pack/passes/integer_thresholds.h"
#include "lowering/pack/passes/share_encodes.h"
#include "lowering/pack/translate.h"

namespace qhost {

packed::Program pack(const InferenceGraph& graph, const InputCodesByEdge& inputs) {
  packed::Program program = packing::translate(graph, inputs);
  // The exact passes come first. Thresholds of sums are made from the very operations of
  // evaluation, so they come before anything that rewrites those; what absorbs an activation or an
  // affine changes no code, and only then fold_affine rounds differently, where no code is left to
  // be kept. Each may leave steps that nobody reads, which the next would take for readers.
  using Pass = void (*)(packed::Program&);
  for (const Pass pass :
       {packing::share_encodes, packing::integer_thresholds, packing::clip_into_encode,
        packing::affine_into_encode, packing::fold_affine, packing::share_encodes}) {
    pass(program);
    packing::drop_dead_steps(program);
  }
  const std::string why = packed::why_invalid(program);
  if (!why.empty()) throw defect("packing made a program that is not sound: " + why);
  return program;
}

}  // namespace qhost
