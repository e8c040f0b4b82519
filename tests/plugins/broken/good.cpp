// A plugin with nothing wrong, from which the tests make damaged copies.
#include <filesystem>

#include "qhost/architecture.h"
#include "qhost/plugin.h"

namespace {

// Proves that std::filesystem works on this side of the boundary too: LibTorch exports symbols of
// that name.
bool filesystem_works() {
  namespace fs = std::filesystem;
  const fs::path here = fs::weakly_canonical(fs::current_path() / "." / "..");
  return fs::is_directory(here) && fs::relative(fs::current_path(), here).has_filename();
}

}  // namespace

QHOST_PLUGIN(good, "an architecture of one linear layer", "Apache-2.0",
             "https://example.org/good") {
  registrar.add_architecture(
      {.name = "one_layer",
       .summary = filesystem_works() ? "one linear layer" : "std::filesystem fails in the plugin",
       .paper = "none",
       .options = {},
       .build = [](qhost::GraphBuilder&, qhost::Value input, const qhost::ArchitectureContext&,
                   const qhost::Options&) { return input; }});
}
