/// Small networks for the passes, and text forms of their results.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "graph/inference_graph.h"
#include "lowering/layer_plan.h"
#include "lowering/start_graph.h"
#include "qhost/error.h"
#include "qhost/graph.h"

namespace qhost::test {

/// body(builder, input) returns the output, whose features are the classes.
inline Graph network(const Shape& input, const std::function<Value(GraphBuilder&, Value)>& body) {
  GraphBuilder g;
  const Value output = body(g, g.input(input));
  return g.finish(output, output.shape().channels());
}

/// "bn: conv" for a batch norm that reads conv, in order.
inline std::vector<std::string> lines(const InferenceGraph& graph) {
  std::vector<std::string> all;
  for (const InferenceNode& node : graph.nodes) {
    std::string line = node.name + ":";
    for (const InferenceEdge& edge : node.inputs) line += " " + graph.node(edge.node).name;
    all.push_back(std::move(line));
  }
  return all;
}

inline const InferenceNode& at(const InferenceGraph& graph, const std::string& name) {
  return graph.node(graph.find(name));
}

template <class Call>
std::string internal_error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// input -> conv -> bn -> relu -> pool
inline Graph conv_bn_relu(const BatchNormOptions& norm = {}, bool bias = false) {
  return network({{2, 4, 4}}, [&](GraphBuilder& g, Value x) {
    x = g.conv2d("conv", x, {.out_channels = 3, .padding = 1, .bias = bias});
    return g.global_average_pool("pool", g.relu("relu", g.batch_norm("bn", x, norm)));
  });
}

}  // namespace qhost::test
