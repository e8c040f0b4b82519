/// jobs/initial_weights.h: `train.init_from`: starts a run from a trained float network.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "jobs/weight_source.h"
#include "model/model.h"
#include "registry/registry.h"

namespace qhost::jobs {

struct InitialWeights {
  std::filesystem::path file;  ///< with links resolved
  std::string sha256;
  std::string names;  ///< the kind of names in the file: "qhost", or the source of StateDictKeyMap
  std::map<std::string, at::Tensor> tensors;  ///< parameters and buffers, by the network's names
  std::set<std::string> drawn;  ///< nodes that train.init_except draws anew: no tensor is theirs
  std::vector<std::string> removed_prefixes;        ///< what stood in front of each name: "module."
  std::optional<WeightSource> source;               ///< the run that `file` belongs to
  std::optional<PublishedNormalization> published;  ///< of the source that `names` names
};

/// Reads what train.init_from names: the selected checkpoint of a run directory, or a safetensors
/// file. The file has the network's names (with the prefix "model/" in a checkpoint) or those of a
/// published implementation (Architecture::published). The tensors of quantizers and of the layers
/// that train.init_except selects are left out, and so are PyTorch's counters "num_batches_tracked"
/// and "n_averaged" and what its wrappers put in front of each name ("module.", "_orig_mod.",
/// "model."). Throws Error at the key's place: configuration if it is neither a run nor such a file
/// (with the importer's name for one of PyTorch's), storage if it cannot be read, data (with the
/// file's name) if the weights belong to another network, with the nearest variant of this
/// architecture, or contain impossible numbers (model/weight_values.h).
InitialWeights read_initial_weights(const config::Experiment& experiment, Registry& registry,
                                    const Model& model);

/// The SHA-256 of the file that read_initial_weights() reads for this value of train.init_from.
/// Throws Error in the same way if there is none.
std::string initial_weights_sha256(const std::filesystem::path& source);

/// The content of init_from.json: {file, sha256, names, tensors: {NAME: "loaded" | "initialized"}},
/// {drawn: [NODE]}, {removed_prefixes: ["module."]} if there are any,
/// and {latent_weights_of: METHOD} if the file belongs to a run that quantizes.
nlohmann::json record(const InitialWeights& weights, const Model& model);

}  // namespace qhost::jobs
