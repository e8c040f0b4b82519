/// jobs/export_weights.h: the weights of a run as evaluation computes with them, for other programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace qhost::jobs {

struct WeightsRequest {
  std::filesystem::path run;
  std::string checkpoint = "selected";  ///< selected, last, best, or a step number
  std::filesystem::path file;           ///< to be written
};

struct ExportedTensor {
  std::string name;
  std::vector<std::int64_t> shape;  ///< of one network
  std::string encoding;             ///< as to_string(Encoding)
  std::int64_t stored_bytes = 0;    ///< packed, with scales, zero points and tables
};

struct ExportedWeights {
  std::filesystem::path checkpoint;  ///< the folder of the weights
  std::vector<ExportedTensor> tensors;
  std::string sha256;                   ///< of the file
  std::vector<std::string> complaints;  ///< damaged checkpoints that were skipped
};

/// Writes a safetensors file with, for each tensor of the inference graph (graph/inference_graph.h)
/// under its name there:
///   NAME             F32, the values: scale * level(code)
///   NAME.codes       U8, one code per byte, of the same shape
///   NAME.scale       F32, [1] or [channels]
///   NAME.zero_point  I32, in half steps, [1] or [channels]
///   NAME.table       F32, [2^bits] or [channels, 2^bits]
/// The last four where the encoding has them; those of an ensemble have the networks as their first
/// dimension. The metadata holds the encodings (see docs/formats.md). The same weights give the
/// same bytes. A method with phases is taken in its last one, as the scores take it. Throws Error
/// as load_run(), and (storage) if the file cannot be written.
ExportedWeights export_weights(const WeightsRequest& request, Registry& registry);

}  // namespace qhost::jobs
