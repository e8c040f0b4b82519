#include "model/plugin_call.h"

#include <c10/util/Exception.h>

#include <new>
#include <typeinfo>

#include "model/exception_text.h"
#include "qhost/error.h"

namespace qhost {
namespace {

/// "plugin `p`: method `m` failed in forward() for the weight of stage1.conv"
std::string place(const PluginCall& call, const char* verb) {
  std::string text;
  if (!call.plugin.empty()) text = "plugin `" + std::string(call.plugin) + "`: ";
  text += std::string(call.kind) + " `" + std::string(call.component) + "` " + verb + " in " +
          std::string(call.function) + "()";
  if (call.slot != nullptr) text += " for " + slot_text(*call.slot);
  return text;
}

bool names_layer(const std::string& text, const PluginCall& call) {
  return call.slot == nullptr || text.find(call.slot->node) != std::string::npos;
}

}  // namespace

PluginCall call_of(const PlannedSlot& slot, std::string_view function) {
  return {.plugin = slot.plugin,
          .kind = "method",
          .component = slot.method,
          .function = function,
          .slot = &slot.info};
}

PluginCall call_of(const PlannedGradient& gradient, std::string_view function) {
  return {.plugin = gradient.plugin,
          .kind = "method",
          .component = gradient.method,
          .function = function,
          .slot = &gradient.info};
}

std::string slot_text(const SlotInfo& slot) {
  if (slot.role == Role::input) {
    return "input " + std::to_string(slot.edge) + " of " + slot.node;
  }
  return std::string("the ") + to_string(slot.role) + " of " + slot.node;
}

void broke_word(const PluginCall& call, const std::string& what) {
  throw Error(ErrorKind::plugin, place(call, "broke its word") + ": " + what,
              "this is a defect of the plugin; `qhost plugin check " + std::string(call.component) +
                  "` tries all that it promises");
}

void rethrow_named(const PluginCall& call) {
  try {
    throw;
  } catch (const Error& error) {
    if (typeid(error) != typeid(Error) || names_layer(error.what(), call)) throw;
    throw error.with_message(error.message() + "\nnote: " + place(call, "said so"));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (...) {
    throw Error(ErrorKind::plugin, place(call, "failed") + ": " + exception_text(),
                "this is a defect of the plugin; `qhost plugin check " +
                    std::string(call.component) +
                    "` tries all that it promises, and `qhost --debug` shows LibTorch's stack "
                    "frames where there are any");
  }
}

}  // namespace qhost
