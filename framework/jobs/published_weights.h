/// jobs/published_weights.h: reads weights that another implementation of the architecture saved.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jobs/weight_source.h"
#include "qhost/architecture.h"
#include "qhost/graph.h"

namespace qhost::jobs {

struct PublishedWeights {
  PublishedNormalization normalization;  ///< with StateDictKeyMap::source
  std::map<std::string, at::Tensor> tensors;
  std::map<std::string, std::string> names;  ///< published names, by the graph's names
};

/// The published names of the graph's tensors, by their own; empty if the source has no such
/// network.
std::map<std::string, std::string> state_dict_keys(const Graph& graph,
                                                   const Architecture& architecture,
                                                   const StateDictKeyMap& names,
                                                   const Options& options);
/// True for a published tensor that takes no part in the source's outputs.
bool is_unused(const std::string& name, const Architecture& architecture,
               const StateDictKeyMap& names, const Options& options);

/// Returns `tensors` with the names and the channel order of `graph`, if their names are exactly
/// those that one of architecture.published gives to the graph's parameters and buffers; else
/// empty. The shapes may differ from the graph's: the caller checks them. The tensors of the nodes
/// named in `drawn` are left out, whether the file has them or not. Throws Error (plugin) if
/// the architecture does not give a number for each channel.
std::optional<PublishedWeights> from_published(const std::map<std::string, at::Tensor>& tensors,
                                               const Graph& graph, const Architecture& architecture,
                                               const Options& options,
                                               const std::set<std::string>& drawn = {});

/// The naming that is nearest to the file's, if no naming is the file's but less than half of one's
/// names differ: the tensors that it names under the graph's names, the others as "there NAME". For
/// an error that shows the few names that are wrong. Empty if the graph's own names are nearer.
std::optional<PublishedWeights> nearly_published(const std::map<std::string, at::Tensor>& tensors,
                                                 const Graph& graph,
                                                 const Architecture& architecture,
                                                 const Options& options);

/// True if `order` contains 0 .. channels - 1, each once.
bool is_order(std::vector<std::int64_t> order, std::int64_t channels);

/// "resnet also reads the names of A; with other options those of B"; "" if it reads no others.
std::string known_names(const Graph& graph, const Architecture& architecture,
                        const Options& options);

}  // namespace qhost::jobs
