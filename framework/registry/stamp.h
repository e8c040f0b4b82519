/// registry/stamp.h: gate 0: the description in a plugin file, read without loading it.
///
/// The stamp is a text in the ELF section "qhost" (people read it by `readelf -p qhost FILE`):
///
///     QHOST-STAMP-1
///     name=bwn
///     ...
///     end
///
/// The file is untrusted: every offset is checked against its size, and the file is not mapped.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace qhost {

struct Stamp {
  std::string name;                   ///< name of the plugin, [a-z0-9_]+
  std::string version;                ///< version of the plugin
  std::string abi;                    ///< QHOST_ABI_VERSION
  std::string compiler;               ///< family and version, "gcc 12.2.0"
  std::string stdlib;                 ///< family and release, "libstdc++ 12"
  std::string cxx11abi;               ///< "0" or "1"
  std::string standard;               ///< __cplusplus, "202002L"
  std::string build_type;             ///< CMake's, "Release"
  std::string glibcxx_debug;          ///< "0" or "1"
  std::string sanitizers;             ///< "none", "address", "thread", "memory"
  std::string torch;                  ///< "2.15.0"
  std::string sdk;                    ///< version of the qhost SDK that it was built against
  std::vector<std::string> provides;  ///< "architecture:resnet", "quantizer:bwn"

  bool provides_component(std::string_view kind, std::string_view component) const;
};

/// Parses the text of a stamp, from marker to end. Throws std::invalid_argument with one clause
/// that follows "its stamp": "has no line \"torch=\"". Unknown keys are ignored.
Stamp parse_stamp(std::string_view text);

/// The stamp of a plugin file. Throws PluginRefusal if the file is not a regular file, not a shared
/// library for this machine or truncated, or if its stamp is missing or malformed.
Stamp read_stamp(const std::filesystem::path& file);

/// The stamp of this host; its name is "qhost".
const Stamp& host_stamp();

/// The symbol of gate 1, which this host defines.
const char* host_guard_name();

/// One difference between a plugin and the host.
struct StampMismatch {
  std::string what;    ///< "LibTorch version"
  std::string plugin;  ///< both values, as shown to the user
  std::string host;
  bool refuses = true;  ///< false: a warning only

  /// "LibTorch version: 2.11.0 in the plugin, 2.15.0 in this qhost"
  std::string text() const;
};

/// All relevant differences. A different ABI number, compiler family, standard library family,
/// string ABI, LibTorch version, _GLIBCXX_DEBUG or sanitizer setting, or an older C++ standard than
/// the host's, refuses the plugin. A newer C++ standard or another build type gives a warning.
/// Compiler and library versions are only recorded.
std::vector<StampMismatch> compare(const Stamp& plugin, const Stamp& host);

}  // namespace qhost
