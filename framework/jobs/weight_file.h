/// jobs/weight_file.h: the file that `train.init_from` names, with the names that it has there.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace qhost::jobs {

struct WeightFile {
  std::map<std::string, at::Tensor> tensors;  ///< without quantizers' and counters
  std::vector<std::string> removed_prefixes;  ///< what stood in front of each name: "module."
};

/// The file that `source` stands for, with links resolved: the selected checkpoint of a run
/// directory (runs/NAME/latest may be another run later), or `source` itself.
std::filesystem::path weight_file_of(const std::filesystem::path& source);

/// Reads the tensors of a checkpoint ("model/NAME") or of any safetensors file. Throws Error:
/// configuration for a file of another format, storage for one that cannot be read.
WeightFile read_weight_file(const std::filesystem::path& file);

}  // namespace qhost::jobs
