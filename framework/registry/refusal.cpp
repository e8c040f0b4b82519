#include "registry/refusal.h"

#include <utility>

namespace qhost {

PluginRefusal::PluginRefusal(const std::filesystem::path& file, std::string clause,
                             std::string help)
    : Error(ErrorKind::plugin, file.string() + " is not a usable plugin: " + clause,
            std::move(help)),
      clause_(std::move(clause)) {}

PluginRefusal::~PluginRefusal() = default;

}  // namespace qhost
