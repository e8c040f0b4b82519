/// registry/stamp.h: gate 0: what a plugin file says of itself, read without loading it.
///
/// The stamp is a text in the ELF section "qhost" (people read it by `readelf -p qhost FILE`):
///
///     QHOST-STAMP-1
///     name=bwn
///     ...
///     end
///
/// The file is untrusted: every offset is checked against its size, and nothing is mapped.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qhost {

struct Stamp {
  std::string name;                   ///< the plugin's, [a-z0-9_]+
  std::string version;                ///< the plugin's
  std::string abi;                    ///< QHOST_ABI_VERSION
  std::string compiler;               ///< family and version, "gcc 12.2.0"
  std::string stdlib;                 ///< family and release, "libstdc++ 12"
  std::string cxx11abi;               ///< "0" or "1"
  std::string standard;               ///< __cplusplus, "202002L"
  std::string build_type;             ///< CMake's, "Release"
  std::string glibcxx_debug;          ///< "0" or "1"
  std::string sanitizers;             ///< "none", "address", "thread", "memory"
  std::string torch;                  ///< "2.15.0"
  std::string sdk;                    ///< version of the qhost that it was built against
  std::vector<std::string> provides;  ///< "architecture:resnet", "quantizer:bwn"

  bool provides_component(std::string_view kind, std::string_view component) const;
};

/// Reads the text of a stamp, marker to end. Throws std::invalid_argument with one clause that
/// follows "its stamp": "has no line \"torch=\"". Keys that are unknown here are passed over.
Stamp parse_stamp(std::string_view text);

/// The stamp of a plugin file. Throws PluginRefusal for what is no regular file, no shared library
/// of this machine, truncated, without a stamp, or with a malformed one.
Stamp read_stamp(const std::filesystem::path& file);

/// The same values of this host; its name is "qhost".
const Stamp& host_stamp();

/// The symbol of gate 1 that this host defines.
const char* host_guard_name();

/// One difference between a plugin and the host.
struct StampMismatch {
  std::string what;    ///< "LibTorch version"
  std::string plugin;  ///< both values, as shown to people
  std::string host;
  bool refuses = true;  ///< false: only a warning

  /// "LibTorch version: 2.11.0 in the plugin, 2.15.0 in this qhost"
  std::string text() const;
};

/// All differences that matter. ABI number, compiler family, standard library family, string ABI,
/// LibTorch version, _GLIBCXX_DEBUG, sanitizers and a C++ standard older than the host's refuse; a
/// newer C++ standard and another build type warn. Compiler and library versions are recorded only.
std::vector<StampMismatch> compare(const Stamp& plugin, const Stamp& host);

}  // namespace qhost
