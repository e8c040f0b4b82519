/// graph/inference_graphs.h: small inference graphs written down by hand.
#pragma once

#include <string>
#include <vector>

#include "graph/inference_graph.h"

namespace qhost::test {

inline InferenceNode node(const std::string& name, Op op, std::vector<int> inputs, Shape shape,
                          NodeOptions options = {}) {
  InferenceNode result{.name = name, .op = op, .options = std::move(options)};
  for (const int input : inputs) result.inputs.push_back({.node = input});
  result.shape = std::move(shape);
  return result;
}

inline StoredTensor ones(std::vector<std::int64_t> shape) {
  StoredTensor tensor{.shape = std::move(shape)};
  return float_tensor(tensor.shape,
                      std::vector<float>(static_cast<std::size_t>(tensor.elements()), 1.0F));
}

/// Names the tensor NODE.PARAMETER.
inline void add_tensor(InferenceGraph& graph, int index, const std::string& parameter,
                       StoredTensor tensor) {
  InferenceNode& owner = graph.node(index);
  owner.tensors[parameter] = {owner.name + "." + parameter};
  graph.tensors[owner.name + "." + parameter] = std::move(tensor);
}

/// input [2,4,4] -> conv (3 channels, binary, codes and scales) -> bn -> relu -> pool -> [3]
inline InferenceGraph five_nodes() {
  InferenceGraph graph;
  graph.nodes.push_back(node("input", Op::input, {}, {{2, 4, 4}}));
  graph.nodes.push_back(node("conv", Op::conv2d, {0}, {{3, 4, 4}},
                             Conv2dOptions{.out_channels = 3, .kernel = 3, .padding = 1}));
  graph.nodes.push_back(node("bn", Op::batch_norm, {1}, {{3, 4, 4}}, BatchNormOptions{}));
  graph.nodes.push_back(node("relu", Op::activation, {2}, {{3, 4, 4}}, ActivationOptions{}));
  graph.nodes.push_back(node("pool", Op::global_average_pool, {3}, {{3}}));
  graph.output = 4;
  StoredTensor weight{.encoding = Encoding::binary(ScaleKind::channel), .shape = {3, 2, 3, 3}};
  weight.codes = {0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0x2A};
  weight.scale = {0.5F, 0.25F, 0.125F};
  add_tensor(graph, 1, "weight", std::move(weight));
  for (const char* parameter : {"weight", "bias", "running_mean", "running_var"}) {
    add_tensor(graph, 2, parameter, ones({3}));
  }
  graph.node(1).method = "bwn";
  return graph;
}

}  // namespace qhost::test
