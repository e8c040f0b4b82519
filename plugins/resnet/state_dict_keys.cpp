#include "state_dict_keys.h"

#include "../shared/part_names.h"
#include "blocks.h"

namespace qhost::resnet {
namespace {

// All of them have basic blocks and ReLUs.
struct Source {
  std::string name;
  std::string family;
  Shortcut shortcut;
  bool preactivation;  // has pre-activated networks, too
  PartNames parts;
};

StateDictKeyMap names_of(const Source& source) {
  return {.source = source.name,
          .name_of = [source](const std::string& tensor, const Options& options) {
            const bool there = options.string("family") == source.family &&
                               shortcut_of(options) == source.shortcut &&
                               options.string("block") == "basic" &&
                               options.string("activation") == "relu" &&
                               (source.preactivation || !options.boolean("preactivation"));
            return there ? renamed(tensor, source.parts) : "";
          }};
}

}  // namespace

std::vector<StateDictKeyMap> published() {
  const PartNames linear = {
      {"stage#", "layer#"}, {"block#", "#"}, {"conv", "0"}, {"bn", "1"}, {"fc", "linear"}};
  const PartNames downsample = {{"stage#", "layer#"},
                                {"block#", "#"},
                                {"shortcut", "downsample"},
                                {"conv", "0"},
                                {"bn", "1"}};
  return {names_of({"akamaster/pytorch_resnet_cifar10", "cifar", Shortcut::a, false, linear}),
          names_of({"chenyaofo/pytorch-cifar-models", "cifar", Shortcut::b, false, downsample}),
          names_of({"kuangliu/pytorch-cifar", "imagenet", Shortcut::b, true, linear}),
          // As it is common for small images: torchvision's own stem has another shape.
          names_of({"torchvision (conv1 3x3 of stride 1, no maxpool)", "imagenet", Shortcut::b,
                    false, downsample})};
}

}  // namespace qhost::resnet
