#include "lowering/pack/passes/fold_affine.h"

#include <algorithm>
#include <cmath>

#include "lowering/pack/rewrite.h"

namespace qhost::packing {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

/// False, and nothing is changed, where a product is not finite.
bool fold(Step& step, const Step& affine) {
  const std::size_t channels =
      std::max({step.scale.size(), step.bias.size(), affine.scale.size(), affine.bias.size()});
  std::vector<float> scale, bias;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto channel = static_cast<std::int64_t>(c);
    const double a = of_channel(affine.scale, channel), b = of_channel(affine.bias, channel);
    const double s = step.scale.empty() ? 1.0 : of_channel(step.scale, channel);
    const double d = step.bias.empty() ? 0.0 : of_channel(step.bias, channel);
    scale.push_back(static_cast<float>(s * a));
    bias.push_back(static_cast<float>(b + d * a));
    if (!std::isfinite(scale.back()) || !std::isfinite(bias.back())) return false;
  }
  step.scale = std::move(scale);
  step.bias = std::move(bias);
  return true;
}

}  // namespace

void fold_affine(Program& program) {
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    Step& step = program.steps[i];
    const int index = static_cast<int>(i);
    if (!has_weight(step) || !step.sum_thresholds.empty()) continue;
    // A second affine follows where a network has two batch norms in a row.
    for (int reader = sole_reader(program, index);
         reader >= 0 && program.step(reader).op == StepOp::affine;
         reader = sole_reader(program, index)) {
      if (!fold(step, program.step(reader))) break;
      program.step(reader).inputs.clear();
      redirect(program, reader, index);
    }
  }
}

}  // namespace qhost::packing
