// A descriptor without QHOST_PLUGIN(), which would not compile with these faults. Built once per
// fault; each FAULT_ definition replaces one field.
#include "one_layer.h"
#include "qhost/plugin.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#ifndef FAULT_MAGIC
#define FAULT_MAGIC qhost::plugin_magic
#endif
#ifndef FAULT_SIZE
#define FAULT_SIZE sizeof(qhost::PluginDescriptor)
#endif
#ifndef FAULT_REGISTRAR_SIZE
#define FAULT_REGISTRAR_SIZE sizeof(qhost::Registrar)
#endif
#ifndef FAULT_VERSION
#define FAULT_VERSION QHOST_PLUGIN_VERSION
#endif
#ifndef FAULT_LICENSE
#define FAULT_LICENSE "Apache-2.0"
#endif
#ifndef FAULT_REGISTER
#define FAULT_REGISTER &register_components
#endif
#ifndef FAULT_RETURN
#define FAULT_RETURN &descriptor
#endif

namespace {

[[maybe_unused]] void register_components(qhost::Registrar& registrar) {
  registrar.add_architecture(one_layer("hand_made"));
}

}  // namespace

extern "C" {
QHOST_API extern const char JOIN(qhost_stamp_, FAULT_NAME)[];
QHOST_STAMP_SECTION const char JOIN(qhost_stamp_, FAULT_NAME)[] =
    QHOST_STAMP(QHOST_PLUGIN_NAME, QHOST_PLUGIN_VERSION, QHOST_PLUGIN_PROVIDES,
                QHOST_PLUGIN_BUILD_TYPE, QHOST_PLUGIN_SDK);

#ifndef FAULT_NO_ENTRY
QHOST_API const qhost::PluginDescriptor* JOIN(qhost_plugin_, FAULT_NAME)() {
  [[maybe_unused]] static constexpr qhost::PluginDescriptor descriptor = {
      FAULT_MAGIC,
      FAULT_SIZE,
      QHOST_ABI_VERSION,
      FAULT_REGISTRAR_SIZE,
      &QHOST_GUARD,
      QHOST_PLUGIN_NAME,
      FAULT_VERSION,
      "made by hand",
      FAULT_LICENSE,
      "https://example.org/hand_made",
      JOIN(qhost_stamp_, FAULT_NAME),
      FAULT_REGISTER};
  return FAULT_RETURN;
}
#endif
}
