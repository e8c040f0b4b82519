/// training/initial_weights.h: `train.init_from`: a run that starts from a trained float network.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "model/model.h"

namespace qhost::training {

struct InitialWeights {
  std::filesystem::path file;
  std::string sha256;
  std::map<std::string, at::Tensor> tensors;  ///< parameters and buffers, by their names
};

/// `source` is a run directory, whose selected checkpoint counts, or a safetensors file with the
/// network's own names (those of a checkpoint begin with "model/"). What belongs to quantizers in
/// it is left out. Throws Error: configuration when it is neither, storage when it cannot be read.
InitialWeights read_initial_weights(const std::filesystem::path& source);

/// Throws Error (data), which names the source, when these are the weights of another network.
void require_weights(const Model& model, const InitialWeights& weights);

/// What a run keeps as init_from.json: {file, sha256, tensors: {NAME: "loaded" | "initialised"}}.
nlohmann::json record(const InitialWeights& weights, const Model& model);

}  // namespace qhost::training
