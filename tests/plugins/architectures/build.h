/// plugins/architectures/build.h: builds a network of an architecture, as the host does.
#pragma once

#include <map>
#include <string>

#include "qhost/architecture.h"

namespace qhost::test {

using Given = std::map<std::string, OptionValue>;

inline Graph build(const Architecture& architecture, const Given& given, std::int64_t classes = 10,
                   const Shape& input = {{3, 32, 32}}) {
  const Options options = Options::from(architecture.options, given);
  GraphBuilder g;
  const Value x = g.input(input);
  return g.finish(architecture.build(g, x, {.input = input, .classes = classes}, options), classes);
}

inline std::int64_t number_of(const Graph& graph, Op op) {
  std::int64_t number = 0;
  for (const Node& node : graph.nodes()) number += node.op == op ? 1 : 0;
  return number;
}

}  // namespace qhost::test
