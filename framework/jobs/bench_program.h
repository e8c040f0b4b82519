/// jobs/bench_program.h: times a packed network, operation by operation and as a whole, against
/// LibTorch's float32 operations of the same shapes.
///
/// Everything is timed in turns in one process and given as a median: a machine that is busy for a
/// while slows both sides.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "packed/program.h"

namespace qhost::jobs {

struct BenchRequest {
  int threads = 1;
  int batch = 8;  ///< images of the whole network's rounds
  int rounds = 30;
};

struct BenchedOp {
  std::string name, kernel;
  std::int64_t macs = 0;
  double seconds = 0;        ///< median, one image
  double torch_seconds = 0;  ///< at::conv2d of the same shape, one image of the batch; 0: no layer
};

struct BenchedProgram {
  std::string kernels;
  double cycles_per_second = 0;  ///< of a chain of dependent additions while the rounds ran
  std::vector<BenchedOp> ops;
  /// Medians, an image; by batch: `batch` images at once, and one.
  double batch_seconds = 0, single_seconds = 0;
  double torch_batch_seconds = 0, torch_single_seconds = 0;
  /// The ratios torch : engine of the rounds, 10th percentile, median and 90th.
  double batch_ratio[3] = {}, single_ratio[3] = {};
};

BenchedProgram bench_program(const packed::Program& program, const BenchRequest& request);

}  // namespace qhost::jobs
