/// model/weight_values.h: numbers that no trained network has, whatever its names and shapes.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "qhost/graph.h"

namespace qhost {

/// Throws Error (data) that names each tensor and how many of its values are wrong: NaN and
/// infinity, a negative variance of a batch norm, a float64 that overflows float32, integers and
/// bools where the network has floats. `tensors` are the graph's parameters and buffers, by its
/// names; `names_there`, by the same names, are those of the file that they come from, where it has
/// others.
void require_sound_values(const Graph& graph, const std::map<std::string, at::Tensor>& tensors,
                          const std::map<std::string, std::string>& names_there = {});

}  // namespace qhost
