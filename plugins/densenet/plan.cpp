#include "plan.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "qhost/error.h"

namespace qhost::densenet {
namespace {

std::vector<std::int64_t> cifar_blocks(std::int64_t depth, bool bottleneck) {
  const std::int64_t step = bottleneck ? 6 : 3;
  if (depth % step != 4 % step) {
    const std::int64_t below = std::max<std::int64_t>(step + 4, (depth - 4) / step * step + 4);
    const std::string form = std::to_string(step) + "n+4";
    throw OptionError("depth", "depth " + std::to_string(depth) + " is not " + form +
                                   ", as it is with" + (bottleneck ? "" : "out") +
                                   " bottlenecks; nearest: " + std::to_string(below) + " and " +
                                   std::to_string(below + step));
  }
  return std::vector<std::int64_t>(3, (depth - 4) / step);
}

std::vector<std::int64_t> imagenet_blocks(std::int64_t depth) {
  const std::map<std::int64_t, std::vector<std::int64_t>> published = {{121, {6, 12, 24, 16}},
                                                                       {161, {6, 12, 36, 24}},
                                                                       {169, {6, 12, 32, 32}},
                                                                       {201, {6, 12, 48, 32}}};
  const auto found = published.find(depth);
  if (found != published.end()) return found->second;
  throw OptionError("depth",
                    "depth " + std::to_string(depth) +
                        " does not exist in the family imagenet; it has 121, 161, 169 and 201");
}

}  // namespace

Plan plan_of(const Options& options) {
  Plan plan = {.family = options.string("family"),
               .growth = options.integer("growth_rate"),
               .bottleneck = options.boolean("bottleneck"),
               .compression = options.real("compression"),
               .dropout = options.real("dropout")};
  const bool cifar = plan.family == "cifar";
  if (!cifar && !plan.bottleneck) {
    throw OptionError("bottleneck",
                      "the family imagenet has bottlenecks: its depths count their convolutions; "
                      "leave bottleneck = true, or set family = \"cifar\"");
  }
  const std::int64_t depth = options.integer("depth");
  plan.layers = cifar ? cifar_blocks(depth, plan.bottleneck) : imagenet_blocks(depth);
  if (!cifar || (plan.bottleneck && plan.compression < 1)) plan.stem = 2 * plan.growth;
  return plan;
}

// The last bits of a product such as 0.29 * 100 must not cost a channel.
std::int64_t compressed(std::int64_t channels, double compression) {
  const auto kept =
      static_cast<std::int64_t>(std::floor(compression * static_cast<double>(channels) + 1e-6));
  if (kept > 0) return kept;
  throw OptionError("compression", "compression " + to_string(OptionValue(compression)) +
                                       " keeps none of the " + std::to_string(channels) +
                                       " channels before a transition; choose 1/" +
                                       std::to_string(channels) + " or more");
}

}  // namespace qhost::densenet
