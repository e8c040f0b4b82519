// A library with the entry function of a plugin that links it, "borrower".
#include "qhost/plugin.h"

extern "C" QHOST_API const qhost::PluginDescriptor* qhost_plugin_borrower() {
  return nullptr;
}
