/// bench/groups.h: the measurements, in groups with names.
#pragma once

#include <functional>
#include <regex>
#include <string>
#include <vector>

#include "registry/registry.h"
#include "rounds.h"

namespace qhost::bench {

struct Settings {
  int rounds = 40;
  std::int64_t batch_size = 128;
  std::regex filter = std::regex(".*");
  std::string qhost;  ///< the executable whose start is timed
  std::function<void(const Row&)> report;

  bool wants(const std::string& row) const { return std::regex_search(row, filter); }
};

/// "step/...": the whole training step against the hand-written one, in both precisions, with
/// LibTorch's allocator and with the caching one. The process keeps the caching one.
void steps(const Settings& settings, Registry& registry);
/// "bwn/...", "xnornet/..." and the other methods, "nothing/...", "calls/...": the cost of
/// quantizer slots in a step.
void slots(const Settings& settings, Registry& registry);
/// "augment": crop, flip and normalization of an image.
void augment(const Settings& settings);
/// "start": the whole process of a run of one step.
void start(const Settings& settings);

/// Reads numbers from stdin, one per line; for each, makes as many steps and prints their seconds:
/// one side of tools/peer/compare_steps.py.
int serve(Registry& registry, bool bf16, std::int64_t batch_size);

}  // namespace qhost::bench
