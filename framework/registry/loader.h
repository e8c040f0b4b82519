/// registry/loader.h: gates 1 and 2: opens a plugin file whose stamp was accepted.
#pragma once

#include <filesystem>
#include <string>

#include "qhost/plugin.h"
#include "registry/stamp.h"

namespace qhost {

/// Opens `file` (absolute) with all symbols resolved at once and kept to itself, and returns the
/// descriptor of its entry function. The library stays open until the process ends: objects of its
/// types may live as long. Throws PluginRefusal with the file and the reason:
///   gate 1  the loader's words, the ABI symbol put plainly, other missing symbols demangled
///   gate 2  no entry function, one of another file, a descriptor that does not fit or has an
///           empty field
const PluginDescriptor& open_plugin(const std::filesystem::path& file, const Stamp& stamp);

/// "rebuild it against this qhost: cmake ..."
std::string rebuild_help();

}  // namespace qhost
