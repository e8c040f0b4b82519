#include "jobs/initial_weights.h"

#include <optional>

#include "config/diagnostic_codes.h"
#include "config/located.h"
#include "jobs/catalog.h"
#include "jobs/find_checkpoint.h"
#include "jobs/published_weights.h"
#include "model/weight_values.h"
#include "qhost/error.h"
#include "storage/safetensors.h"
#include "storage/sha256.h"
#include "storage/tensor_bytes.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_prefix = "model/";

// Resolve links: runs/NAME/latest may be another run when the record is read.
fs::path file_of(const fs::path& source) {
  if (!fs::is_directory(source)) {
    std::error_code error;
    const fs::path file = fs::canonical(source, error);
    return error ? source : file;
  }
  std::vector<std::string> passed_over;
  const runs::RunDirectory run = runs::RunDirectory::open(source);
  return find_checkpoint(run, "selected", passed_over).folder / "state.safetensors";
}

// Removes what PyTorch adds to the names and tensors of a network.
std::map<std::string, at::Tensor> without_additions(std::map<std::string, at::Tensor> tensors) {
  std::erase_if(tensors, [](const auto& entry) {
    return entry.first == "num_batches_tracked" || entry.first.ends_with(".num_batches_tracked");
  });
  const std::string prefix = "module.";
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(prefix)) return tensors;
  }
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, tensor] : tensors) result[name.substr(prefix.size())] = tensor;
  return result;
}

InitialWeights read(const fs::path& source, Registry& registry) {
  InitialWeights weights;
  weights.file = file_of(source);
  ComponentCatalog catalog(registry);
  weights.source = source_of_weights(weights.file, catalog);
  const storage::File file = storage::File::read(weights.file);
  weights.sha256 = storage::sha256_file(weights.file);
  weights.tensors = storage::read_tensors(file, model_prefix);
  if (weights.tensors.empty()) weights.tensors = storage::read_tensors(file, "");
  std::erase_if(weights.tensors,
                [](const auto& entry) { return entry.first.find('/') != std::string::npos; });
  weights.tensors = without_additions(std::move(weights.tensors));
  return weights;
}

// The error if the tensors do not fit the network; empty if they do.
std::optional<Error> refusal(const Model& model, const std::map<std::string, at::Tensor>& tensors,
                             const std::map<std::string, std::string>& names_there = {}) {
  try {
    model.require_weights(tensors, names_there);
    return {};
  } catch (const Error& error) {
    return error;
  }
}

InitialWeights read_for(const config::Experiment& experiment, Registry& registry,
                        const Model& model) {
  InitialWeights weights = read(experiment.train.string("init_from"), registry);
  weights.names = "qhost";
  std::map<std::string, std::string> names_there;
  std::optional<Error> refused = refusal(model, weights.tensors);
  const Architecture& architecture = registry.architecture(experiment.model.name);
  const Options& options = experiment.model.options;
  std::string whose;
  if (refused) {
    if (auto published = from_published(weights.tensors, model.graph(), architecture, options)) {
      weights.names = published->source;
      weights.tensors = std::move(published->tensors);
      names_there = std::move(published->names);
      whose = ", named as in " + weights.names;
      refused = refusal(model, weights.tensors, names_there);
    }
  }
  const std::string given = "train.init_from = " + weights.file.string() + whose + ": ";
  if (refused) {
    const std::string known = known_names(model.graph(), architecture, options);
    Error error(refused->kind(), given + refused->message(),
                "give [model] the architecture and options of the network that the weights were "
                "trained in");
    if (!known.empty() && whose.empty()) error.add_help(known);
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
  try {
    return read_for(experiment, registry, model);
  } catch (const Error& error) {
    throw config::located_error(experiment, "train.init_from", error, config::code::weights);
  }
}

std::string initial_weights_sha256(const fs::path& source) {
  return storage::sha256_file(file_of(source));
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
  if (weights.source && !weights.source->method.empty()) {
    json["latent_weights_of"] = weights.source->method;
  }
  return json;
}

}  // namespace qhost::jobs
