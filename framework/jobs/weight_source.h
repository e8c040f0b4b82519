/// jobs/weight_source.h: the run that produced the weights of `train.init_from`.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/load.h"

namespace qhost::jobs {

struct WeightSource {
  std::filesystem::path run;
  /// Its quantization method, as "bwn"; "" for a float run. The checkpoints of a quantized run hold
  /// latent weights, from which the evaluated codes are computed.
  std::string method;
  std::map<std::string, std::string> keys;  ///< result_keys() of its configuration
};

/// The normalization of a published source: Architecture::published.
struct PublishedNormalization {
  std::string source;                   ///< "akamaster/pytorch_resnet_cifar10"
  std::vector<double> mean, deviation;  ///< of pixel / 255, by channel
};

/// `source` is a run directory or a file in one. Empty for any other path, and for a run whose
/// configuration cannot be read: this information is only shown, and nothing depends on it.
std::optional<WeightSource> source_of_weights(const std::filesystem::path& source,
                                              config::Catalog& catalog);

/// The image normalization of a run with these keys: "whitening gcn_zca", "pixels / 255", "mean
/// [0.5], std [0.25]", "the mean and std of cifar10".
std::string normalization_text(const std::map<std::string, std::string>& keys);

}  // namespace qhost::jobs
