// live_builders.h: the existing GraphBuilder objects. The use of a Value whose builder is destroyed
// gives an error that says so, and no read of freed memory.
#pragma once

#include <functional>
#include <string>

#include "qhost/graph.h"

namespace qhost {

void add_live_builder(const GraphBuilder* builder);
void remove_live_builder(const GraphBuilder* builder);
/// Calls `use` with the builder, which stays alive meanwhile, or with null if it was destroyed.
std::string with_live_builder(const GraphBuilder* builder,
                              const std::function<std::string(const GraphBuilder*)>& use);
bool is_live_builder(const GraphBuilder* builder);

}  // namespace qhost
