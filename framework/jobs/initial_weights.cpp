#include "jobs/initial_weights.h"

#include <optional>

#include "config/diagnostic_codes.h"
#include "config/located.h"
#include "graph/selector.h"
#include "graph/tensor_name.h"
#include "jobs/catalog.h"
#include "jobs/nearest_variant.h"
#include "jobs/published_weights.h"
#include "jobs/weight_file.h"
#include "model/weight_values.h"
#include "qhost/error.h"
#include "storage/sha256.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;

InitialWeights read(const fs::path& source, Registry& registry) {
  InitialWeights weights;
  weights.file = weight_file_of(source);
  ComponentCatalog catalog(registry);
  weights.source = source_of_weights(weights.file, catalog);
  WeightFile file = read_weight_file(weights.file);
  weights.sha256 = storage::sha256_file(weights.file);
  weights.tensors = std::move(file.tensors);
  weights.removed_prefixes = std::move(file.removed_prefixes);
  return weights;
}

/// The nodes that train.init_except selects.
std::set<std::string> drawn_nodes(const config::Experiment& experiment, const Graph& graph) {
  std::set<std::string> names;
  for (const std::string& text : experiment.train.strings("init_except")) {
    const Selector selector = Selector::parse(text);
    bool any = false;
    for (const Node& node : graph.nodes()) {
      if (node.parameters.empty() || !selector.matches(graph, node)) continue;
      names.insert(node.name);
      any = true;
    }
    if (!any) {
      throw Error(ErrorKind::configuration, "`" + text + "` selects no layer with weights",
                  "`qhost summary` lists the layers; \"last\" is the classifier");
    }
  }
  return names;
}

// The error if the tensors do not fit the network; empty if they do.
std::optional<Error> refusal(const Model& model, const InitialWeights& weights,
                             const std::map<std::string, std::string>& names_there = {}) {
  try {
    model.require_weights(weights.tensors, names_there, weights.drawn);
    return {};
  } catch (const Error& error) {
    return error;
  }
}

/// Adds what would fit: another variant of the architecture, another classifier, other names.
void add_helps(Error& error, const InitialWeights& weights, const config::Experiment& experiment,
               const Architecture& architecture, const Graph& graph) {
  const Options& options = experiment.model.options;
  const auto variant = nearest_variant(weights.tensors, architecture, options, graph);
  if (variant) {
    error.add_help(to_text(*variant));
    return;
  }
  error.add_help(
      "give [model] the architecture and options of the network that the weights were "
      "trained in");
  const std::string known = known_names(graph, architecture, options);
  if (!known.empty() && weights.names == "qhost") error.add_help(known);
}

InitialWeights read_for(const config::Experiment& experiment, Registry& registry,
                        const Model& model, const std::set<std::string>& drawn) {
  InitialWeights weights = read(experiment.train.string("init_from"), registry);
  weights.names = "qhost";
  weights.drawn = drawn;
  std::map<std::string, std::string> names_there;
  const Architecture& architecture = registry.architecture(experiment.model.name);
  const InitialWeights as_given = weights;
  std::erase_if(weights.tensors, [&](const auto& entry) {
    return weights.drawn.contains(node_of_tensor(entry.first));
  });
  std::optional<Error> refused = refusal(model, weights);
  std::string whose;
  if (refused) {
    if (auto published = from_published(as_given.tensors, model.graph(), architecture,
                                        experiment.model.options, weights.drawn)) {
      weights.names = published->normalization.source;
      weights.published = std::move(published->normalization);
      weights.tensors = std::move(published->tensors);
      names_there = std::move(published->names);
      whose = ", named as in " + weights.names;
      refused = refusal(model, weights, names_there);
    } else if (auto nearly = nearly_published(as_given.tensors, model.graph(), architecture,
                                              experiment.model.options)) {
      whose = ", named nearly as in " + nearly->normalization.source;
      weights.tensors = std::move(nearly->tensors);
      refused = refusal(model, weights, nearly->names);
    }
  }
  const std::string given = "train.init_from = " + weights.file.string() + whose + ": ";
  if (refused) {
    Error error(refused->kind(), given + refused->message());
    InitialWeights there = as_given;
    there.names = weights.names;
    add_helps(error, there, experiment, architecture, model.graph());
    throw error;
  }
  try {
    require_sound_values(model.graph(), weights.tensors, names_there);
  } catch (const Error& error) {
    throw error.with_message(given + error.message());
  }
  return weights;
}

}  // namespace

InitialWeights read_initial_weights(const config::Experiment& experiment, Registry& registry,
                                    const Model& model) {
  std::set<std::string> drawn;
  try {
    drawn = drawn_nodes(experiment, model.graph());
  } catch (const Error& error) {
    throw config::located_error(experiment, "train.init_except", error);
  }
  try {
    return read_for(experiment, registry, model, drawn);
  } catch (const Error& error) {
    throw config::located_error(experiment, "train.init_from", error, config::code::weights);
  }
}

std::string initial_weights_sha256(const fs::path& source) {
  return storage::sha256_file(weight_file_of(source));
}

nlohmann::json record(const InitialWeights& weights, const Model& model) {
  nlohmann::json tensors = nlohmann::json::object();
  for (const NamedTensor& entry : model.state()) {
    tensors[entry.name] = weights.tensors.count(entry.name) != 0 ? "loaded" : "initialized";
  }
  nlohmann::json json = {{"file", weights.file.string()},
                         {"sha256", weights.sha256},
                         {"names", weights.names},
                         {"tensors", tensors}};
  if (!weights.drawn.empty()) json["drawn"] = weights.drawn;
  if (!weights.removed_prefixes.empty()) json["removed_prefixes"] = weights.removed_prefixes;
  if (weights.source && !weights.source->method.empty()) {
    json["latent_weights_of"] = weights.source->method;
  }
  return json;
}

}  // namespace qhost::jobs
