#include "lowering/pack/passes/clip_into_encode.h"

#include <limits>
#include <optional>

#include "lowering/pack/rewrite.h"

namespace qhost::packing {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

constexpr float infinity = std::numeric_limits<float>::infinity();

struct Range {
  float low = 0, high = infinity;
};

std::optional<Range> clipped_range(const Step& step) {
  if (step.op != StepOp::activation) return {};
  switch (step.activation) {
    case Activation::relu:
      return Range{0, infinity};
    case Activation::relu6:
      return Range{0, 6};
    case Activation::hardtanh:
      return Range{-1, 1};
    default:
      return {};
  }
}

/// The encode steps that the value reaches; false if it reaches another step, or the output.
bool reaches_encodes_only(const Program& program, int index, std::vector<int>& encodes) {
  if (index == program.output) return false;
  for (const int reader : program.readers(index)) {
    const Step& step = program.step(reader);
    if (step.op == StepOp::encode && step.direction.empty()) {
      encodes.push_back(reader);
    } else if (step.op != StepOp::max_pool && step.op != StepOp::flatten) {
      return false;
    } else if (!reaches_encodes_only(program, reader, encodes)) {
      return false;
    }
  }
  return true;
}

void clip(std::vector<float>& thresholds, const Range& range) {
  for (float& t : thresholds) {
    if (t <= range.low) {
      t = -infinity;
    } else if (t > range.high) {
      t = infinity;
    }
  }
}

}  // namespace

void clip_into_encode(Program& program) {
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const int index = static_cast<int>(i);
    const std::optional<Range> range = clipped_range(program.steps[i]);
    std::vector<int> encodes;
    if (!range || !reaches_encodes_only(program, index, encodes)) continue;
    for (const int encode : encodes) clip(program.step(encode).thresholds, *range);
    redirect(program, index, program.steps[i].inputs[0]);
    program.steps[i].inputs.clear();
  }
}

}  // namespace qhost::packing
