#include "lowering/pack/passes/drop_dead_steps.h"

#include <utility>

namespace qhost::packing {

void drop_dead_steps(packed::Program& program) {
  const std::size_t count = program.steps.size();
  std::vector<bool> is_read(count, false);
  is_read.at(0) = true;
  is_read.at(static_cast<std::size_t>(program.output)) = true;
  // A step reads earlier ones: backwards, every reader comes before what it reads.
  for (std::size_t i = count; i-- > 0;) {
    if (!is_read[i]) continue;
    for (const int input : program.steps[i].inputs) is_read[static_cast<std::size_t>(input)] = true;
  }
  std::vector<packed::Step> kept;
  std::vector<int> index(count, -1);
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_read[i]) continue;
    index[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(program.steps[i]));
    for (int& input : kept.back().inputs) input = index[static_cast<std::size_t>(input)];
  }
  program.steps = std::move(kept);
  program.output = index[static_cast<std::size_t>(program.output)];
}

}  // namespace qhost::packing
