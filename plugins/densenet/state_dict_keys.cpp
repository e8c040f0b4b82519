#include "state_dict_keys.h"

#include <map>
#include <string>

#include "../shared/part_names.h"
#include "plan.h"

namespace qhost::densenet {
namespace {

// What a layer of a block reads: the block's input, and behind it the channels of so many layers.
struct Chain {
  std::int64_t start = 0;
  std::int64_t layers = 0;
};

// By the names of the nodes that read one.
std::map<std::string, Chain> chains(const Plan& plan) {
  std::map<std::string, Chain> read;
  std::int64_t start = plan.stem;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    for (std::int64_t j = 0; j < plan.layers[i]; ++j) {
      const std::string name = "block" + std::to_string(i + 1) + ".layer" + std::to_string(j) + ".";
      read[name + "bn1"] = read[name + "conv1"] = {start, j};
    }
    const Chain whole = {start, plan.layers[i]};
    if (i + 1 == plan.layers.size()) {
      read["bn"] = read["fc"] = whole;
    } else {
      const std::string name = "transition" + std::to_string(i + 1) + ".";
      read[name + "bn"] = read[name + "conv"] = whole;
      start = compressed(start + whole.layers * plan.growth, plan.compression);
    }
  }
  return read;
}

// There the newest layer stands in front: [l, ..., 2, 1, start] for our [start, 1, 2, ..., l].
std::vector<std::int64_t> newest_first(const std::string& tensor, const Options& options) {
  if (tensor == "fc.bias") return {};
  const Plan plan = plan_of(options);
  const std::map<std::string, Chain> read = chains(plan);
  const auto found = read.find(tensor.substr(0, tensor.rfind('.')));
  if (found == read.end()) return {};
  const auto [start, layers] = found->second;
  std::vector<std::int64_t> channels;
  for (std::int64_t k = 0; k < start; ++k) channels.push_back(layers * plan.growth + k);
  for (std::int64_t layer = 1; layer <= layers; ++layer) {
    for (std::int64_t k = 0; k < plan.growth; ++k) {
      channels.push_back((layers - layer) * plan.growth + k);
    }
  }
  return channels;
}

auto names(const std::string& family, const PartNames& parts) {
  return [=](const std::string& tensor, const Options& options) {
    return options.string("family") == family ? renamed(tensor, parts) : "";
  };
}

}  // namespace

std::vector<StateDictKeyMap> published() {
  PartNames parts = {{"block#", "dense#"}, {"layer#", "#"}, {"transition#", "trans#"}};
  PartNames kuangliu = parts, bamos = parts;
  kuangliu["fc"] = "linear";
  bamos["bn"] = "bn1";
  bamos["conv"] = "conv1";
  return {{.source = "kuangliu/pytorch-cifar",
           .name_of = names("imagenet", kuangliu),
           .channels_of = newest_first,
           .mean = {0.4914, 0.4822, 0.4465},
           .deviation = {0.2023, 0.1994, 0.2010}},
          {.source = "bamos/densenet.pytorch",
           .name_of = names("cifar", bamos),
           .mean = {0.4914, 0.4824, 0.4467},
           .deviation = {0.2471, 0.2435, 0.2616}}};
}

}  // namespace qhost::densenet
