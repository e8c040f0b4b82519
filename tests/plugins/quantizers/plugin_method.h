/// A method from the plugin that the build made, as a run gets it.
#pragma once

#include <string>

#include "qhost/quantizer.h"
#include "registry/registry.h"

namespace qhost::test {

inline const QuantizerMethod& plugin_method(const std::string& name) {
  static Registry registry(
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false});
  return registry.quantizer(name);
}

}  // namespace qhost::test
