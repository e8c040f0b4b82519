#include "lowering/pack/passes/affine_into_encode.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lowering/pack/float_order.h"
#include "lowering/pack/rewrite.h"

namespace qhost::packing {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

constexpr int most_thresholds = 3;
constexpr float infinity = std::numeric_limits<float>::infinity();

bool is_small_encode(const Step& step) {
  return step.op == StepOp::encode && step.direction.empty() &&
         step.codes->count() - 1 <= most_thresholds;
}

float moved_threshold(float t, float a, float b) {
  if (std::isinf(t)) return t;
  if (a == 0) return b >= t ? -infinity : infinity;
  const float sign = a > 0 ? 1.0F : -1.0F;
  return first_float([&](float x) { return std::fma(sign * x, a, b) >= t; });
}

void move(const Step& affine, Step& encode) {
  const int n = encode.codes->count() - 1;
  std::vector<float> moved;
  std::vector<std::int8_t> direction;
  for (std::int64_t c = 0; c < affine.channels(); ++c) {
    const float a = of_channel(affine.scale, c), b = of_channel(affine.bias, c);
    direction.push_back(a < 0 ? -1 : 1);
    for (int j = 0; j < n; ++j) moved.push_back(moved_threshold(threshold(encode, c, j), a, b));
  }
  encode.thresholds = std::move(moved);
  const bool falls = std::count(direction.begin(), direction.end(), -1) > 0;
  if (falls) encode.direction = std::move(direction);
  encode.inputs = affine.inputs;
}

}  // namespace

void affine_into_encode(Program& program) {
  // Backwards: of two in a row the second goes first.
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    const int index = static_cast<int>(i);
    if (program.steps[i].op != StepOp::affine || program.output == index) continue;
    const std::vector<int> readers = program.readers(index);
    const bool fits = std::all_of(readers.begin(), readers.end(),
                                  [&](int r) { return is_small_encode(program.step(r)); });
    if (readers.empty() || !fits) continue;
    for (const int reader : readers) move(program.steps[i], program.step(reader));
    program.steps[i].inputs.clear();
  }
}

}  // namespace qhost::packing
