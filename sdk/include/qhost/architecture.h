/// qhost/architecture.h: what a plugin registers to offer a network architecture.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "qhost/graph.h"
#include "qhost/options.h"

namespace qhost {

/// What the data set prescribes.
struct ArchitectureContext {
  Shape input;               ///< one sample, {C, H, W}
  std::int64_t classes = 0;  ///< length of the output
};

/// How a published implementation of an architecture names its tensors: weights saved by it load as
/// they are, through train.init_from.
struct StateDictKeyMap {
  std::string source;  ///< where it is published: "akamaster/pytorch_resnet_cifar10"
  /// Its name of one of this network's tensors: "layer1.0.conv1.weight" for
  /// "stage1.block0.conv1.weight". Empty where these options make a network that it does not have.
  std::function<std::string(const std::string& tensor, const Options&)> name_of;
  /// For a network that concatenates in another order: element c is the published number of this
  /// network's channel c, along axis 1 of a tensor of several axes and axis 0 of the others. Null
  /// or an empty result: the same order.
  std::function<std::vector<std::int64_t>(const std::string& tensor, const Options&)> channels_of;
  /// How that source normalizes its images, (pixel / 255 - mean) / deviation: a value per channel,
  /// or none where it is not known. A run whose [augment] differs says so.
  std::vector<double> mean, deviation;
  /// True for a tensor of the source, by its name there, that takes no part in its outputs. Null:
  /// none.
  std::function<bool(const std::string& there, const Options&)> unused;
  /// Other sources with the same names whose networks need other options, which the names cannot
  /// tell: one sentence, shown by `qhost describe`. "" if there are none.
  std::string look_alikes;
};

/// A named architecture. `build` receives the network's input and returns its output (the logits,
/// shape {classes}); it throws OptionError for options that do not fit together.
struct Architecture {
  std::string name;     ///< [a-z0-9_]+, as written in [model] name
  std::string summary;  ///< one line
  std::string paper;    ///< citation with arXiv number
  std::vector<Option> options;
  std::function<Value(GraphBuilder&, Value input, const ArchitectureContext&, const Options&)>
      build;
  /// Tried in this order where a file's names are not this network's own.
  std::vector<StateDictKeyMap> published;
};

}  // namespace qhost
