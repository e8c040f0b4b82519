// The examples of qhost/graph.h, qhost/options.h and qhost/error.h, as their headers have them.
#include "qhost/graph.h"

#include <vector>

#include "qhost/error.h"
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

[[maybe_unused]] void error_example() {
  throw Error(ErrorKind::data, "labels.bin has 9 bytes, not 10",
              "unpack the archive again");
}

}  // namespace
