/// qhost/plugin.h: how a shared library becomes a qhost plugin.
///
///     // bwn.cpp, built by qhost_add_plugin(bwn VERSION 1.0.0 PROVIDES quantizer:bwn SOURCES
///     bwn.cpp) QHOST_PLUGIN(bwn, "Binary-Weight-Network", "Apache-2.0", "https://example.org/bwn")
///     {
///       registrar.add_quantizer({...});
///     }
///
/// A file is accepted through three gates, each before the next one runs any of its code:
///   0  a text stamp in the ELF section "qhost", read from the file without loading it
///   1  the symbol qhost_abi_<N>__torch_<x>_<y>_<z>__cxx11_<b>, which only a matching host defines
///   2  the descriptor that the entry function returns
#pragma once

#include <cstdint>

#include "qhost/export.h"

// The plugin ABI. Raise it when a public header changes so that a plugin built before would
// misbehave: a virtual function added, removed or reordered, a member added to a struct that
// crosses the boundary, an enumerator's value changed. Adding a new header, a free function or
// a comment needs no raise. tests/sdk compares sdk/abi.lock and fails when nobody decided.
#define QHOST_ABI_VERSION 1

namespace qhost {

struct Architecture;
struct QuantizerMethod;

/// Receives what a plugin offers. Nothing is visible to the host unless the whole registration
/// returns. A name that exists already, in this plugin or another, throws.
class QHOST_API Registrar {
 public:
  virtual ~Registrar();
  virtual void add_architecture(Architecture architecture) = 0;
  virtual void add_quantizer(QuantizerMethod method) = 0;
};

/// Returned by pointer from qhost_plugin_<name>(). Members are only ever appended.
struct PluginDescriptor {
  std::uint32_t magic;           ///< plugin_magic
  std::uint32_t struct_size;     ///< sizeof(PluginDescriptor) when the plugin was built
  std::uint32_t abi_version;     ///< QHOST_ABI_VERSION when the plugin was built
  std::uint32_t registrar_size;  ///< sizeof(Registrar): a canary for the layout
  const int* abi_guard;          ///< gate 1: an undefined symbol unless the host matches
  const char* name;              ///< equals the file's stem
  const char* version;
  const char* description;
  const char* license;
  const char* origin;
  const char* stamp;
  void (*register_components)(Registrar& registrar);
};

inline constexpr std::uint32_t plugin_magic = 0x51485354;  // "QHST"

}  // namespace qhost

#define QHOST_JOIN_(a, b) a##b
#define QHOST_JOIN(a, b) QHOST_JOIN_(a, b)
#define QHOST_TEXT_(a) #a
#define QHOST_TEXT(a) QHOST_TEXT_(a)

#ifdef _GLIBCXX_USE_CXX11_ABI
#define QHOST_CXX11_ABI _GLIBCXX_USE_CXX11_ABI
#else
#define QHOST_CXX11_ABI 0
#endif

// QHOST_TORCH_MAJOR, _MINOR and _PATCH are compile definitions of the CMake target qhost::sdk,
// taken from the LibTorch that it links.
#define QHOST_GUARD_NAME_(abi, major, minor, patch, cxx11) \
  qhost_abi_##abi##__torch_##major##_##minor##_##patch##__cxx11_##cxx11
#define QHOST_GUARD_NAME_EXPANDED(abi, major, minor, patch, cxx11) \
  QHOST_GUARD_NAME_(abi, major, minor, patch, cxx11)
#define QHOST_GUARD                                                                  \
  QHOST_GUARD_NAME_EXPANDED(QHOST_ABI_VERSION, QHOST_TORCH_MAJOR, QHOST_TORCH_MINOR, \
                            QHOST_TORCH_PATCH, QHOST_CXX11_ABI)
