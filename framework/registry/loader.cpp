#include "registry/loader.h"

#include <dlfcn.h>

#include <boost/core/demangle.hpp>
#include <boost/dll/shared_library.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "registry/refusal.h"
#include "registry/search.h"

namespace qhost {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const fs::path& file, const std::string& clause, const std::string& help) {
  throw PluginRefusal(file, clause, help);
}

/// Extracts THIS from Boost's "...failed (dlerror system message: THIS): Illegal seek"; the rest is
/// an unrelated errno.
std::string dlerror_part(const std::string& text) {
  const std::string before = "dlerror system message: ";
  const std::size_t begin = text.find(before);
  const std::size_t end = text.rfind("): ");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return text;
  return text.substr(begin + before.size(), end - begin - before.size());
}

/// Turns "qhost_abi_1__torch_2_15_0__cxx11_1" into "plugin ABI 1, LibTorch 2.15.0, string ABI 1";
/// empty for any other symbol.
std::string guard_in_words(const std::string& symbol) {
  int abi = 0, major = 0, minor = 0, patch = 0, cxx11 = 0, used = 0;
  if (std::sscanf(symbol.c_str(), "qhost_abi_%9d__torch_%9d_%9d_%9d__cxx11_%9d%n", &abi, &major,
                  &minor, &patch, &cxx11, &used) != 5 ||
      used != static_cast<int>(symbol.size())) {
    return "";
  }
  return "plugin ABI " + std::to_string(abi) + ", LibTorch " + std::to_string(major) + "." +
         std::to_string(minor) + "." + std::to_string(patch) + ", _GLIBCXX_USE_CXX11_ABI " +
         std::to_string(cxx11);
}

[[noreturn]] void refuse_unloadable(const fs::path& file, const std::string& reason) {
  const std::string undefined = "undefined symbol: ";
  if (const std::size_t at = reason.find(undefined); at != std::string::npos) {
    std::string symbol = reason.substr(at + undefined.size());
    symbol = symbol.substr(0, symbol.find_first_of(" ,\n"));
    if (const std::string words = guard_in_words(symbol); !words.empty()) {
      refuse(file,
             "it was built for another qhost: " + words + "; this qhost is " +
                 guard_in_words(host_guard_name()),
             rebuild_help());
    }
    refuse(file,
           "it needs the symbol " + boost::core::demangle(symbol.c_str()) +
               ", which neither this qhost nor a library it links has",
           "link the plugin with the library that defines it (LIBRARIES of "
           "qhost_add_plugin), or rebuild it against this qhost");
  }
  refuse(file, "it cannot be loaded: " + reason,
         "`ldd " + file.string() + "` shows the libraries that it needs");
}

/// The path of the file that contains an address, as the loader names it; empty if unknown.
fs::path file_of(const void* address) {
  Dl_info info{};
  return ::dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

void check_origin(const fs::path& file, const char* what, const void* address) {
  const fs::path holder = file_of(address);
  std::error_code error;
  if (!fs::equivalent(holder, file, error)) {
    refuse(file,
           std::string("its ") + what + " lies in another file, " +
               (holder.empty() ? "an unknown one" : holder.string()),
           "a plugin must not link another plugin; move shared code into a library");
  }
}

void check_descriptor(const fs::path& file, const Stamp& stamp,
                      const PluginDescriptor* descriptor) {
  const auto numbers = [&](const char* what, std::uint64_t plugin, std::uint64_t host) {
    if (plugin != host) {
      refuse(file,
             std::string("its descriptor does not fit: ") + what + " is " + std::to_string(plugin) +
                 ", this qhost has " + std::to_string(host),
             rebuild_help());
    }
  };
  if (descriptor == nullptr) {
    refuse(file, "its entry function returned no descriptor", "define the entry by QHOST_PLUGIN()");
  }
  check_origin(file, "descriptor", descriptor);
  numbers("the magic number", descriptor->magic, plugin_magic);
  numbers("the descriptor's size", descriptor->struct_size, sizeof(PluginDescriptor));
  numbers("the plugin ABI number", descriptor->abi_version, QHOST_ABI_VERSION);
  numbers("the size of Registrar", descriptor->registrar_size, sizeof(Registrar));
  const std::pair<const char*, const char*> fields[] = {{"name", descriptor->name},
                                                        {"version", descriptor->version},
                                                        {"description", descriptor->description},
                                                        {"license", descriptor->license},
                                                        {"origin", descriptor->origin},
                                                        {"stamp", descriptor->stamp}};
  for (const auto& [field, value] : fields) {
    if (value == nullptr || *value == '\0') {
      refuse(file, std::string("its descriptor has an empty field \"") + field + "\"",
             "fill in every text of QHOST_PLUGIN()");
    }
  }
  const auto equal = [&](const char* field, const std::string& value, const std::string& stamped) {
    if (value != stamped) {
      refuse(file,
             std::string("its descriptor gives the ") + field + " \"" + value + "\", its stamp \"" +
                 stamped + "\"",
             "build it again with qhost_add_plugin()");
    }
  };
  equal("name", descriptor->name, stamp.name);
  equal("version", descriptor->version, stamp.version);
  if (descriptor->register_components == nullptr) {
    refuse(file, "its descriptor has no register function", "define the entry by QHOST_PLUGIN()");
  }
}

}  // namespace

std::string rebuild_help() {
  return "rebuild it against this qhost: cmake -S PLUGIN_SOURCE -B PLUGIN_BUILD "
         "-DQhostSdk_DIR=" +
         (core_directory() / "cmake" / "QhostSdk").string() + " && cmake --build PLUGIN_BUILD";
}

const PluginDescriptor& open_plugin(const fs::path& file, const Stamp& stamp) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  // Leaked on purpose: a static vector would close the libraries at exit, before the destruction of
  // objects that other statics still hold.
  static auto& open_libraries = *new std::vector<boost::dll::shared_library>;

  boost::dll::shared_library library;
  try {
    library.load(file, rtld_now | rtld_local);
  } catch (const std::system_error& error) {
    refuse_unloadable(file, dlerror_part(error.what()));
  }
  open_libraries.push_back(library);

  const std::string entry_name = "qhost_plugin_" + stamp.name;
  if (!library.has(entry_name)) {
    refuse(file, "it has no entry function " + entry_name + "()",
           "the name in QHOST_PLUGIN() must be the name in qhost_add_plugin()");
  }
  auto& entry = library.get<const PluginDescriptor*()>(entry_name);
  // dlsym() also finds the entry function of a library that this one links.
  check_origin(file, "entry function", reinterpret_cast<const void*>(&entry));
  const PluginDescriptor* descriptor = entry();
  check_descriptor(file, stamp, descriptor);
  return *descriptor;
}

}  // namespace qhost
