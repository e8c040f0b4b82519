// live_builders.h: which GraphBuilder objects exist, so that a Value that outlived its
// builder is an error that says so, not a read of freed memory.
#pragma once

#include <functional>
#include <string>

#include "qhost/graph.h"

namespace qhost {

void add_live_builder(const GraphBuilder* builder);
void remove_live_builder(const GraphBuilder* builder);
/// Calls `use` with the builder, or with null when it lives no more; it stays alive meanwhile.
std::string with_live_builder(const GraphBuilder* builder,
                              const std::function<std::string(const GraphBuilder*)>& use);
bool is_live_builder(const GraphBuilder* builder);

}  // namespace qhost
