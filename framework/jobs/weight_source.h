/// jobs/weight_source.h: the run whose weights `train.init_from` names.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace qhost::jobs {

struct WeightSource {
  std::filesystem::path run;
  /// The method that it quantizes with, as "bwn"; "" for a float run. Its checkpoints hold latent
  /// weights, from which the codes that were scored are made.
  std::string method;
  std::map<std::string, std::string> keys;  ///< report::result_keys of its resolved.toml
};

/// `source` is a run directory or a file within one; nothing for any other, and for a run whose
/// configuration cannot be read: where weights are from is said, and nothing depends on it.
std::optional<WeightSource> source_of_weights(const std::filesystem::path& source);

/// "whitening gcn_zca", "pixels / 255", "mean [0.5], std [0.25]", "the mean and std of cifar10":
/// how the run of these keys normalizes its images.
std::string normalization_text(const std::map<std::string, std::string>& keys);

}  // namespace qhost::jobs
