/// registry/loader.h: gates 1 and 2: opens a plugin file whose stamp was accepted.
#pragma once

#include <filesystem>
#include <string>

#include "qhost/plugin.h"
#include "registry/stamp.h"

namespace qhost {

/// Opens `file` (an absolute path), resolves all symbols at once and keeps them local, and returns
/// the descriptor of its entry function. The library stays open until the process ends, since
/// objects of its types may live that long. Throws PluginRefusal with the file and the reason:
///   gate 1  the loader's error, with a readable ABI symbol and demangled missing symbols
///   gate 2  no entry function, the entry function of another file, or a descriptor that does not
///           fit or has an empty field
const PluginDescriptor& open_plugin(const std::filesystem::path& file, const Stamp& stamp);

/// The help "rebuild it against this qhost: cmake ...".
std::string rebuild_help();

}  // namespace qhost
