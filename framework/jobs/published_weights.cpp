#include "jobs/published_weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "graph/tensor_name.h"
#include "model/plugin_call.h"
#include "qhost/error.h"

namespace qhost::jobs {
namespace {

struct Own {
  std::string name;
  const ParameterSpec* spec = nullptr;
};

std::vector<Own> own_tensors(const Graph& graph) {
  std::vector<Own> all;
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      all.push_back({tensor_name(node.name, spec.name), &spec});
    }
  }
  return all;
}

PluginCall call_of(const Architecture& architecture, std::string_view function) {
  return {.plugin = "",
          .kind = "architecture",
          .component = architecture.name,
          .function = function,
          .slot = nullptr};
}

at::Tensor in_own_order(const at::Tensor& tensor, const std::string& name,
                        const Architecture& architecture, const StateDictKeyMap& names,
                        const Options& options) {
  std::vector<std::int64_t> channels;
  if (names.channels_of) {
    channels = call_plugin(call_of(architecture, "channels_of"),
                           [&] { return names.channels_of(name, options); });
  }
  if (channels.empty()) return tensor;
  const std::int64_t axis = tensor.dim() > 1 ? 1 : 0;
  if (!is_order(channels, tensor.size(axis))) {
    throw Error(ErrorKind::plugin,
                "the order of channels of " + names.source + " for " + name +
                    " is no order of its " + std::to_string(tensor.size(axis)) + " channels",
                "StateDictKeyMap::channels_of of the architecture must name each of them once");
  }
  return tensor.index_select(axis, at::tensor(channels, at::kLong));
}

}  // namespace

std::map<std::string, std::string> state_dict_keys(const Graph& graph,
                                                   const Architecture& architecture,
                                                   const StateDictKeyMap& names,
                                                   const Options& options) {
  std::map<std::string, std::string> result;
  for (const Own& own : own_tensors(graph)) {
    const std::string there = call_plugin(call_of(architecture, "name_of"),
                                          [&] { return names.name_of(own.name, options); });
    if (there.empty()) return {};
    result[own.name] = there;
  }
  return result;
}

bool is_unused(const std::string& name, const Architecture& architecture,
               const StateDictKeyMap& names, const Options& options) {
  return names.unused &&
         call_plugin(call_of(architecture, "unused"), [&] { return names.unused(name, options); });
}

bool is_order(std::vector<std::int64_t> order, std::int64_t channels) {
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<std::int64_t>(i)) return false;
  }
  return static_cast<std::int64_t>(order.size()) == channels;
}

std::optional<PublishedWeights> from_published(const std::map<std::string, at::Tensor>& tensors,
                                               const Graph& graph, const Architecture& architecture,
                                               const Options& options,
                                               const std::set<std::string>& drawn) {
  for (const StateDictKeyMap& names : architecture.published) {
    const std::map<std::string, std::string> there =
        state_dict_keys(graph, architecture, names, options);
    std::set<std::string> wanted, left_out;
    for (const auto& [own, name] : there) {
      (drawn.contains(node_of_tensor(own)) ? left_out : wanted).insert(name);
    }
    std::set<std::string> found;
    for (const auto& [name, tensor] : tensors) {
      if (!left_out.contains(name) && !is_unused(name, architecture, names, options)) {
        found.insert(name);
      }
    }
    if (there.empty() || wanted != found || wanted.size() + left_out.size() != there.size()) {
      continue;
    }
    PublishedWeights weights{{names.source, names.mean, names.deviation}, {}, there};
    for (const Own& own : own_tensors(graph)) {
      if (left_out.contains(there.at(own.name))) continue;
      at::Tensor tensor = tensors.at(there.at(own.name));
      if (tensor.sizes() == at::IntArrayRef(own.spec->shape)) {
        tensor = in_own_order(tensor, own.name, architecture, names, options);
      }
      weights.tensors[own.name] = tensor;
    }
    return weights;
  }
  return {};
}

std::optional<PublishedWeights> nearly_published(const std::map<std::string, at::Tensor>& tensors,
                                                 const Graph& graph,
                                                 const Architecture& architecture,
                                                 const Options& options) {
  const auto differences = [&](const std::map<std::string, std::string>& there) {
    std::size_t known = 0;
    for (const auto& [own, name] : there) known += tensors.count(name);
    return there.size() + tensors.size() - 2 * known;
  };
  std::map<std::string, std::string> own_names;
  for (const Own& own : own_tensors(graph)) own_names[own.name] = own.name;
  std::size_t fewest = differences(own_names);
  std::optional<PublishedWeights> nearest;
  for (const StateDictKeyMap& names : architecture.published) {
    std::map<std::string, std::string> there = state_dict_keys(graph, architecture, names, options);
    if (there.empty() || differences(there) >= fewest || differences(there) >= there.size()) {
      continue;
    }
    fewest = differences(there);
    nearest = PublishedWeights{{names.source, names.mean, names.deviation}, {}, there};
    std::set<std::string> taken;
    for (const auto& [own, name] : there) {
      const auto known = tensors.find(name);
      if (known == tensors.end()) continue;
      nearest->tensors[own] = known->second;
      taken.insert(name);
    }
    for (const auto& [name, tensor] : tensors) {
      // A name of the network's own is none of this naming's: it must not pass for a match.
      if (!taken.contains(name)) nearest->tensors["there " + name] = tensor;
    }
  }
  return nearest;
}

std::string known_names(const Graph& graph, const Architecture& architecture,
                        const Options& options) {
  std::string now, otherwise;
  for (const StateDictKeyMap& names : architecture.published) {
    std::string& list =
        state_dict_keys(graph, architecture, names, options).empty() ? otherwise : now;
    list += (list.empty() ? "" : ", ") + names.source;
  }
  if (now.empty() && otherwise.empty()) return "";
  if (now.empty()) {
    return architecture.name + " with other options also reads the names of " + otherwise;
  }
  return architecture.name + " also reads the names of " + now +
         (otherwise.empty() ? "" : "; with other options those of " + otherwise);
}

}  // namespace qhost::jobs
