/// jobs/initial_weights.h: `train.init_from`: a run that starts from a trained float network.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "config/experiment.h"
#include "jobs/weight_source.h"
#include "model/model.h"
#include "registry/registry.h"

namespace qhost::jobs {

struct InitialWeights {
  std::filesystem::path file;  ///< without links
  std::string sha256;
  std::string names;  ///< which the file has: "qhost", or the source of StateDictKeyMap
  std::map<std::string, at::Tensor> tensors;  ///< parameters and buffers, by the network's names
  std::optional<WeightSource> source;         ///< the run that `file` belongs to
};

/// What train.init_from names: a run directory, whose selected checkpoint counts, or a safetensors
/// file, with the network's own names (those of a checkpoint begin with "model/") or with those of
/// a published implementation (Architecture::published). What belongs to quantizers in it is left
/// out, and so are PyTorch's counts "num_batches_tracked" and the "module." that its DataParallel
/// puts in front of each name.
/// Throws Error at the key's place: configuration when it is neither, storage when it cannot be
/// read, data, with the file's name, when these are the weights of another network or hold numbers
/// that cannot be right (model/weight_values.h).
InitialWeights read_initial_weights(const config::Experiment& experiment, Registry& registry,
                                    const Model& model);

/// Of the file that read_initial_weights() would read for this value of train.init_from. Throws
/// Error as that does where there is none.
std::string initial_weights_sha256(const std::filesystem::path& source);

/// What a run keeps as init_from.json: {file, sha256, names, tensors: {NAME: "loaded" |
/// "initialized"}}, and {latent_weights_of: METHOD} where the file is of a run that quantizes.
nlohmann::json record(const InitialWeights& weights, const Model& model);

}  // namespace qhost::jobs
