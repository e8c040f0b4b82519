// The examples of qhost/graph.h and qhost/options.h, as their headers have them.
#include "qhost/graph.h"

#include <vector>

#include "qhost/options.h"

namespace {

using namespace qhost;

[[maybe_unused]] Value graph_example(GraphBuilder& g, Value x) {
  Value y = g.conv2d("conv1", x, {.out_channels = 16, .kernel = 3, .padding = 1});
  y = g.relu("relu1", g.batch_norm("bn1", y));
  return y;
}

[[maybe_unused]] std::vector<Option> options_example() {
  const std::vector<Option> options = {
      Option::integer("depth", 20, "number of weighted layers, 6n+2").at_least(8),
      Option::string("shortcut", "A", "shape-changing shortcut").one_of({"A", "B"})};
  return options;
}

}  // namespace
