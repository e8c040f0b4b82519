#include "config/read_resolved.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "config/extends.h"
#include "config/schema.h"

namespace qhost::config {
namespace {

/// The option value of a TOML value. An empty list is a list of strings.
std::optional<OptionValue> natural(const Value& value) {
  if (const auto* v = std::get_if<bool>(&value.data)) return *v;
  if (const auto* v = value.integer()) return *v;
  if (const auto* v = std::get_if<double>(&value.data)) return *v;
  if (const auto* v = value.string()) return *v;
  if (value.array() == nullptr) return {};
  std::vector<std::int64_t> integers;
  std::vector<double> reals;
  std::vector<std::string> strings;
  for (const Value& element : *value.array()) {
    if (const auto* v = element.integer()) {
      integers.push_back(*v);
      reals.push_back(static_cast<double>(*v));
    } else if (const auto* real = std::get_if<double>(&element.data)) {
      reals.push_back(*real);
    } else if (const auto* string = element.string()) {
      strings.push_back(*string);
    }
  }
  const std::size_t size = value.array()->size();
  if (strings.size() == size) return strings;
  if (integers.size() == size) return integers;
  if (reals.size() == size) return reals;
  return {};
}

bool is_list(OptionType type) {
  return type == OptionType::integer_list || type == OptionType::real_list ||
         type == OptionType::string_list;
}

bool accepts(const Option& option, const Value& value) {
  if (value.array() != nullptr && value.array()->empty()) return is_list(option.type());
  const std::optional<OptionValue> given = natural(value);
  if (!given) return false;
  const bool is_choice =
      option.type() == OptionType::string && std::holds_alternative<bool>(*given);
  return is_choice || option.why_invalid(*given).empty();
}

/// An option that accepts any value of the entry's type.
std::optional<Option> free_option(const Entry& entry) {
  const std::optional<OptionValue> value = natural(entry.value);
  if (!value) return {};
  return Option::required(entry.key, static_cast<OptionType>(value->index()), "");
}

/// All tables [kind] or [[kind]] whose component has this name.
std::vector<const Table*> tables_of(const Table& root, const std::string& kind,
                                    const std::string& name) {
  std::vector<const Table*> found;
  const auto add = [&](const Value& value) {
    const Entry* entry = value.table() == nullptr ? nullptr : value.table()->find("name");
    const bool same =
        entry != nullptr && entry->value.string() != nullptr && *entry->value.string() == name;
    if (same) found.push_back(value.table());
  };
  const Entry* entry = root.find(kind);
  if (entry == nullptr) return found;
  add(entry->value);
  if (const Array* list = entry->value.array()) std::for_each(list->begin(), list->end(), add);
  return found;
}

/// Another catalog, adapted to the options in a file.
class FileCatalog : public Catalog {
 public:
  FileCatalog(const Table& root, Catalog& catalog) : root_(root), catalog_(catalog) {}

  const std::vector<Option>* find(const std::string& kind, const std::string& name) override {
    const auto [found, is_new] = options_.try_emplace({kind, name});
    if (is_new) found->second = options_of(kind, name);
    return &found->second;
  }
  std::vector<std::string> names(const std::string& kind) override { return catalog_.names(kind); }
  std::vector<std::string> default_keep_float(const std::string& quantizer) override {
    return declared("quantizer", quantizer) == nullptr ? std::vector<std::string>()
                                                       : catalog_.default_keep_float(quantizer);
  }
  std::string explain_missing(const std::string& kind, const std::string& name) override {
    return catalog_.explain_missing(kind, name);
  }

 private:
  const std::vector<Option>* declared(const std::string& kind, const std::string& name) {
    try {
      return catalog_.find(kind, name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::plugin) throw;
      return nullptr;  // a refused plugin counts as missing
    }
  }

  std::vector<Option> options_of(const std::string& kind, const std::string& name) {
    std::vector<Option> options;
    if (const auto* known = declared(kind, name)) options = *known;
    std::vector<std::string> beside = {"name"};
    for (const Option& option : find_table(kind)->options) beside.push_back(option.name());
    for (const Table* table : tables_of(root_, kind, name)) {
      for (const Entry& entry : table->entries) {
        if (std::find(beside.begin(), beside.end(), entry.key) == beside.end()) fit(options, entry);
      }
      std::erase_if(options, [&](const Option& option) {
        return !option.default_value() && table->find(option.name()) == nullptr;
      });
    }
    return options;
  }

  static void fit(std::vector<Option>& options, const Entry& entry) {
    const auto known = std::find_if(options.begin(), options.end(), [&](const Option& option) {
      return option.name() == entry.key;
    });
    if (known != options.end() && accepts(*known, entry.value)) return;
    const std::optional<Option> option = free_option(entry);
    if (!option) return;
    if (known == options.end()) {
      options.push_back(*option);
    } else {
      *known = *option;
    }
  }

  const Table& root_;
  Catalog& catalog_;
  std::map<std::pair<std::string, std::string>, std::vector<Option>> options_;
};

}  // namespace

Experiment read_resolved(const std::filesystem::path& file, Catalog& catalog) {
  LoadResult as_it_is = load_experiment(file, {}, catalog);
  if (as_it_is.ok) return std::move(as_it_is.points.at(0).experiment);
  Diagnostics ignored;  // load_experiment() reports them
  const Document document = load_document(file, ignored);
  FileCatalog of_file(document.root, catalog);
  return std::move(load_experiment_or_throw(file, {}, of_file).at(0).experiment);
}

}  // namespace qhost::config
