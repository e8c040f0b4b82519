/// model/plugin_call.h: every call into a plugin, and what its exceptions end in.
///
///     const at::Tensor w = call_plugin(call_of(slot, "forward"), [&] {
///       return slot.weight->forward(context, latent);
///     });
///
/// An exception of any type becomes an Error of kind plugin in one sentence:
///
///     plugin `p`: method `m` failed in forward() for the weight of stage1.conv: REASON
///
/// An Error that the plugin throws keeps its kind and its text, to which this place is added where
/// the text does not name the layer. An OptionError, whose option has a place of its own, and what
/// says that memory is short stay as they are.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "model/plan.h"

namespace qhost {

/// Which call of which plugin. Views of what lives longer than the call.
struct PluginCall {
  std::string_view plugin;         ///< "" where it is not known
  std::string_view kind;           ///< "method", "architecture", "custom node"
  std::string_view component;      ///< the method's name, say
  std::string_view function;       ///< "forward"
  const SlotInfo* slot = nullptr;  ///< null: about no slot
};

PluginCall call_of(const PlannedSlot& slot, std::string_view function);
PluginCall call_of(const PlannedGradient& gradient, std::string_view function);

/// "the weight of stage1.conv", "input 1 of stage1.add", "the gradient of stage1.conv".
std::string slot_text(const SlotInfo& slot);

/// Throws Error (plugin): "plugin `p`: method `m` broke its word in encode() for the weight of
/// stage1.conv: WHAT", and that `qhost plugin check m` tries all that a method promises.
[[noreturn]] void broke_word(const PluginCall& call, const std::string& what);

/// Throws the exception that is being handled as said above.
[[noreturn]] void rethrow_named(const PluginCall& call);

template <class Work>
decltype(auto) call_plugin(const PluginCall& call, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (...) {
    rethrow_named(call);
  }
}

}  // namespace qhost
