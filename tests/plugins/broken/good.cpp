// A correct plugin, from which the tests make damaged copies.
#include <filesystem>

#include "one_layer.h"
#include "qhost/plugin.h"

namespace {

// LibTorch exports std::filesystem symbols of its own: the ones that are bound here must work.
bool filesystem_works() {
  namespace fs = std::filesystem;
  const fs::path proc = fs::canonical("/proc/sys/..");
  return fs::is_directory(proc) && fs::relative("/proc/sys/kernel", proc) == "sys/kernel";
}

}  // namespace

QHOST_PLUGIN(good, "an architecture of one linear layer", "Apache-2.0",
             "https://example.org/good") {
  registrar.add_architecture(
      one_layer("one_layer", filesystem_works() ? "one linear layer" : "std::filesystem fails"));
}
