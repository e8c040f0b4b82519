#include "lowering/pack/passes/share_encodes.h"

#include "lowering/pack/rewrite.h"

namespace qhost::packing {
namespace {

using packed::Step;
using packed::StepOp;

bool equal(const Step& a, const Step& b) {
  return a.op == b.op && a.inputs == b.inputs && a.codes == b.codes &&
         a.thresholds == b.thresholds && a.direction == b.direction;
}

}  // namespace

void share_encodes(packed::Program& program) {
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    if (step.op != StepOp::encode && step.op != StepOp::decode) continue;
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (!equal(program.steps[earlier], step)) continue;
      redirect(program, static_cast<int>(i), static_cast<int>(earlier));
      break;
    }
  }
}

}  // namespace qhost::packing
