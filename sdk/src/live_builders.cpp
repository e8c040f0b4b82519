#include "sdk/live_builders.h"

#include <mutex>
#include <set>

namespace qhost {
namespace {

struct Registry {
  std::mutex mutex;
  std::set<const GraphBuilder*> builders;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

}  // namespace

void add_live_builder(const GraphBuilder* builder) {
  std::lock_guard lock(registry().mutex);
  registry().builders.insert(builder);
}

void remove_live_builder(const GraphBuilder* builder) {
  std::lock_guard lock(registry().mutex);
  registry().builders.erase(builder);
}

std::string with_live_builder(const GraphBuilder* builder,
                              const std::function<std::string(const GraphBuilder*)>& use) {
  std::lock_guard lock(registry().mutex);
  return use(registry().builders.count(builder) != 0 ? builder : nullptr);
}

bool is_live_builder(const GraphBuilder* builder) {
  std::lock_guard lock(registry().mutex);
  return registry().builders.count(builder) != 0;
}

}  // namespace qhost
