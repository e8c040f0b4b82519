#include "state_dict_keys.h"

#include "../shared/part_names.h"
#include "../shared/pytorchcv_names.h"
#include "blocks.h"

namespace qhost::resnet {
namespace {

// The normalizations that sources share; docs/experiments.md has the files that say so.
const std::vector<double> imagenet_mean = {0.485, 0.456, 0.406};
const std::vector<double> imagenet_deviation = {0.229, 0.224, 0.225};
const std::vector<double> cifar_mean = {0.4914, 0.4822, 0.4465};
// Of the means of the images: smaller than that of the pixels, and very common.
const std::vector<double> cifar_deviation = {0.2023, 0.1994, 0.2010};

// Which networks a source has: all have basic blocks and ReLUs.
struct Source {
  std::string name;
  std::string family;
  Shortcut shortcut;
  bool plain = true;           // networks without pre-activation
  bool preactivation = false;  // and with it
  std::function<std::string(const std::string& tensor, bool preactivation)> name_of;
  std::vector<double> mean = {}, deviation = {};
  std::string look_alikes = "";
};

StateDictKeyMap names_of(const Source& source) {
  return {.source = source.name,
          .name_of =
              [source](const std::string& tensor, const Options& options) {
                const bool preactivation = options.boolean("preactivation");
                const bool there = options.string("family") == source.family &&
                                   shortcut_of(options) == source.shortcut &&
                                   options.string("block") == "basic" &&
                                   options.string("activation") == "relu" &&
                                   (preactivation ? source.preactivation : source.plain);
                return there ? source.name_of(tensor, preactivation) : "";
              },
          .mean = source.mean,
          .deviation = source.deviation,
          .look_alikes = source.look_alikes};
}

auto with_parts(const PartNames& parts) {
  return [parts](const std::string& tensor, bool) { return renamed(tensor, parts); };
}

}  // namespace

std::vector<StateDictKeyMap> published() {
  const auto linear = with_parts(
      {{"stage#", "layer#"}, {"block#", "#"}, {"conv", "0"}, {"bn", "1"}, {"fc", "linear"}});
  const auto downsample = with_parts({{"stage#", "layer#"},
                                      {"block#", "#"},
                                      {"shortcut", "downsample"},
                                      {"conv", "0"},
                                      {"bn", "1"}});
  return {names_of({.name = "akamaster/pytorch_resnet_cifar10",
                    .family = "cifar",
                    .shortcut = Shortcut::a,
                    .name_of = linear,
                    .mean = imagenet_mean,
                    .deviation = imagenet_deviation}),
          names_of({.name = "chenyaofo/pytorch-cifar-models",
                    .family = "cifar",
                    .shortcut = Shortcut::b,
                    .name_of = downsample,
                    .mean = cifar_mean,
                    .deviation = cifar_deviation}),
          names_of({.name = "pytorchcv",
                    .family = "cifar",
                    .shortcut = Shortcut::b,
                    .preactivation = true,
                    .name_of = pytorchcv_name,
                    .mean = cifar_mean,
                    .deviation = cifar_deviation,
                    .look_alikes = "its shakedropresnet20 has the same names and scales each "
                                   "residual branch, which no option here does"}),
          names_of({.name = "kuangliu/pytorch-cifar",
                    .family = "imagenet",
                    .shortcut = Shortcut::b,
                    .preactivation = true,
                    .name_of = linear,
                    .mean = cifar_mean,
                    .deviation = cifar_deviation}),
          // As it is common for small images: torchvision's own stem has another shape.
          names_of({.name = "torchvision (conv1 3x3 of stride 1, no maxpool)",
                    .family = "imagenet",
                    .shortcut = Shortcut::b,
                    .name_of = downsample,
                    .look_alikes = "huyvnphan/PyTorch_CIFAR10 has the same names and keeps the max "
                                   "pool: set model.stem_pool = true"})};
}

}  // namespace qhost::resnet
