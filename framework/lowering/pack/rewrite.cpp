#include "lowering/pack/rewrite.h"

namespace qhost::packing {

void redirect(packed::Program& program, int from, int to) {
  for (packed::Step& step : program.steps) {
    for (int& input : step.inputs) {
      if (input == from) input = to;
    }
  }
  if (program.output == from) program.output = to;
}

int sole_reader(const packed::Program& program, int index) {
  if (program.output == index) return -1;
  const std::vector<int> readers = program.readers(index);
  return readers.size() == 1 ? readers[0] : -1;
}

float threshold(const packed::Step& encode, std::int64_t c, int j) {
  const auto n = static_cast<std::size_t>(encode.codes->count() - 1);
  const std::size_t row = encode.thresholds.size() == n ? 0 : static_cast<std::size_t>(c);
  return encode.thresholds.at(row * n + static_cast<std::size_t>(j));
}

}  // namespace qhost::packing
