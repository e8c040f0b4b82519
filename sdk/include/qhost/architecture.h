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

/// A named architecture. `build` receives the network's input and returns its output (the logits,
/// shape {classes}); it throws OptionError for options that do not fit together.
struct Architecture {
  std::string name;     ///< [a-z0-9_]+, as written in [model] name
  std::string summary;  ///< one line
  std::string paper;    ///< citation with arXiv number
  std::vector<Option> options;
  std::function<Value(GraphBuilder&, Value input, const ArchitectureContext&, const Options&)>
      build;
};

}  // namespace qhost
