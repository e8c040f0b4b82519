#include "config/renamed.h"

namespace qhost::config {
namespace {

struct Renamed {
  std::string_view table, former, present;
};
constexpr Renamed all_renamed[] = {
    {"augment", "normalise", "normalize"},
};

}  // namespace

std::string present_name(std::string_view title, std::string_view key) {
  for (const Renamed& one : all_renamed) {
    const bool here =
        title.size() == one.table.size() + 2 && title.substr(1, one.table.size()) == one.table;
    if (here && key == one.former) return std::string(one.present);
  }
  return "";
}

void use_present_names(Table& root) {
  for (const Renamed& one : all_renamed) {
    Entry* entry = root.find(one.table);
    Table* table = entry != nullptr ? entry->value.table() : nullptr;
    if (table == nullptr) continue;
    if (Entry* key = table->find(one.former)) key->key = one.present;
  }
}

}  // namespace qhost::config
