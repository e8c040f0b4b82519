/// qhost/plugin.h: how a shared library becomes a qhost plugin.
///
///     QHOST_PLUGIN(my_bwn, "Binary-Weight-Network", "Apache-2.0", "https://example.org/my_bwn") {
///       registrar.add_quantizer({.name = "my_bwn",
///                                .summary = "binary weights times the mean |W| of their filter",
///                                .paper = "arXiv 1603.05279",
///                                .create = stateless<Bwn>});
///     }
///
/// built by qhost_add_plugin(my_bwn VERSION 1.0.0 PROVIDES quantizer:my_bwn SOURCES my_bwn.cpp).
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
#define QHOST_ABI_VERSION 7

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

#define QHOST_TEXT_(a) #a
#define QHOST_TEXT(a) QHOST_TEXT_(a)

#ifdef _GLIBCXX_USE_CXX11_ABI
#define QHOST_CXX11_ABI _GLIBCXX_USE_CXX11_ABI
#else
#define QHOST_CXX11_ABI 0
#endif

// QHOST_TORCH_MAJOR, _MINOR and _PATCH are compile definitions of the CMake target qhost::sdk,
// taken from the LibTorch that it links; 0.0.0 where nothing links LibTorch.
#define QHOST_GUARD_NAME_(abi, major, minor, patch, cxx11) \
  qhost_abi_##abi##__torch_##major##_##minor##_##patch##__cxx11_##cxx11
#define QHOST_GUARD_NAME_EXPANDED(abi, major, minor, patch, cxx11) \
  QHOST_GUARD_NAME_(abi, major, minor, patch, cxx11)
#define QHOST_GUARD                                                                  \
  QHOST_GUARD_NAME_EXPANDED(QHOST_ABI_VERSION, QHOST_TORCH_MAJOR, QHOST_TORCH_MINOR, \
                            QHOST_TORCH_PATCH, QHOST_CXX11_ABI)

// What the compiler says of itself, for the stamp of a plugin and of the host alike.
#if defined(__clang__)
#define QHOST_COMPILER                                                                 \
  "clang " QHOST_TEXT(__clang_major__) "." QHOST_TEXT(__clang_minor__) "." QHOST_TEXT( \
      __clang_patchlevel__)
#elif defined(__GNUC__)
#define QHOST_COMPILER \
  "gcc " QHOST_TEXT(__GNUC__) "." QHOST_TEXT(__GNUC_MINOR__) "." QHOST_TEXT(__GNUC_PATCHLEVEL__)
#else
#error "qhost is built with g++ or clang++"
#endif

#if defined(_GLIBCXX_RELEASE)
#define QHOST_STDLIB "libstdc++ " QHOST_TEXT(_GLIBCXX_RELEASE)
#elif defined(_LIBCPP_VERSION)
#define QHOST_STDLIB "libc++ " QHOST_TEXT(_LIBCPP_VERSION)
#else
#error "qhost is built with libstdc++ or libc++"
#endif

#ifdef _GLIBCXX_DEBUG
#define QHOST_GLIBCXX_DEBUG "1"
#else
#define QHOST_GLIBCXX_DEBUG "0"
#endif

#ifdef __has_feature
#define QHOST_HAS_FEATURE(feature) __has_feature(feature)
#else
#define QHOST_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || QHOST_HAS_FEATURE(address_sanitizer)
#define QHOST_SANITIZERS "address"
#elif defined(__SANITIZE_THREAD__) || QHOST_HAS_FEATURE(thread_sanitizer)
#define QHOST_SANITIZERS "thread"
#elif QHOST_HAS_FEATURE(memory_sanitizer)
#define QHOST_SANITIZERS "memory"
#else
#define QHOST_SANITIZERS "none"
#endif

// The lines that plugin and host share. `build_type` and `sdk` are strings.
#define QHOST_STAMP_BUILD(build_type, sdk) \
  "abi=" QHOST_TEXT(QHOST_ABI_VERSION) "\ncompiler=" QHOST_COMPILER                   \
  "\nstdlib=" QHOST_STDLIB "\ncxx11abi=" QHOST_TEXT(QHOST_CXX11_ABI)                  \
  "\nstandard=" QHOST_TEXT(__cplusplus) "\nbuild_type=" build_type                    \
  "\nglibcxx_debug=" QHOST_GLIBCXX_DEBUG "\nsanitizers=" QHOST_SANITIZERS             \
  "\ntorch=" QHOST_TEXT(QHOST_TORCH_MAJOR) "." QHOST_TEXT(QHOST_TORCH_MINOR) "."      \
  QHOST_TEXT(QHOST_TORCH_PATCH) "\nsdk=" sdk "\n"

// Marker, lines and an end that a reader can check: the stamp of gate 0.
#define QHOST_STAMP(name, version, provides, build_type, sdk) \
  "QHOST-STAMP-1\nname=" name "\nversion=" version            \
  "\n" QHOST_STAMP_BUILD(build_type, sdk) "provides=" provides "\nend\n"

// A section of strings survives strip; `retain` keeps it under --gc-sections too.
#if defined(__has_attribute) && __has_attribute(retain)
#define QHOST_STAMP_SECTION __attribute__((section("qhost"), used, retain))
#else
#define QHOST_STAMP_SECTION __attribute__((section("qhost"), used))
#endif

namespace qhost {
/// Compares two string literals while compiling.
constexpr bool same_text(const char* a, const char* b) {
  for (; *a == *b; ++a, ++b) {
    if (*a == '\0') return true;
  }
  return false;
}
}  // namespace qhost

extern "C" QHOST_API const int QHOST_GUARD;

/// Makes this shared library a plugin; its braces hold the registration, in which `registrar` is
/// the qhost::Registrar. It stands once in a plugin, in a file built by qhost_add_plugin(), which
/// gives the version, what the plugin provides and a name that must equal the one here. No text
/// may be empty. The registration may throw: the host adds the plugin's name and file.
#define QHOST_PLUGIN(plugin_name, plugin_description, plugin_license, plugin_origin)            \
  static_assert(::qhost::same_text(#plugin_name, QHOST_PLUGIN_NAME),                            \
                "the name in QHOST_PLUGIN() differs from the name in qhost_add_plugin()");      \
  static_assert(sizeof(plugin_description) > 1, "QHOST_PLUGIN(): the description is empty");    \
  static_assert(sizeof(plugin_license) > 1, "QHOST_PLUGIN(): the license is empty");            \
  static_assert(sizeof(plugin_origin) > 1, "QHOST_PLUGIN(): the origin is empty");              \
  static void qhost_register_##plugin_name(::qhost::Registrar& registrar);                      \
  extern "C" {                                                                                  \
  QHOST_API extern const char qhost_stamp_##plugin_name[];                                      \
  QHOST_STAMP_SECTION const char qhost_stamp_##plugin_name[] =                                  \
      QHOST_STAMP(QHOST_PLUGIN_NAME, QHOST_PLUGIN_VERSION, QHOST_PLUGIN_PROVIDES,               \
                  QHOST_PLUGIN_BUILD_TYPE, QHOST_PLUGIN_SDK);                                   \
  QHOST_API const ::qhost::PluginDescriptor* qhost_plugin_##plugin_name() {                     \
    static constexpr ::qhost::PluginDescriptor descriptor = {::qhost::plugin_magic,             \
                                                             sizeof(::qhost::PluginDescriptor), \
                                                             QHOST_ABI_VERSION,                 \
                                                             sizeof(::qhost::Registrar),        \
                                                             &QHOST_GUARD,                      \
                                                             QHOST_PLUGIN_NAME,                 \
                                                             QHOST_PLUGIN_VERSION,              \
                                                             plugin_description,                \
                                                             plugin_license,                    \
                                                             plugin_origin,                     \
                                                             qhost_stamp_##plugin_name,         \
                                                             &qhost_register_##plugin_name};    \
    return &descriptor;                                                                         \
  }                                                                                             \
  }                                                                                             \
  static void qhost_register_##plugin_name([[maybe_unused]] ::qhost::Registrar& registrar)
