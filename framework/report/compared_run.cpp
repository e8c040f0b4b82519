#include "report/compared_run.h"

#include <algorithm>

#include "config/document.h"
#include "config/schema.h"
#include "data/dataset.h"
#include "qhost/error.h"
#include "report/source_run.h"
#include "runs/run_directory.h"
#include "storage/atomic_file.h"

namespace qhost::report {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

void flatten(const config::Table& table, const std::string& path, Keys& keys) {
  for (const config::Entry& entry : table.entries) {
    const std::string key = path.empty() ? entry.key : path + "." + entry.key;
    const config::Array* array = entry.value.array();
    if (const config::Table* inner = entry.value.table()) {
      flatten(*inner, key == "quantizer" ? "quantizer.0" : key, keys);
    } else if (array != nullptr && !array->empty() && array->front().table() != nullptr) {
      for (std::size_t i = 0; i < array->size(); ++i) {
        if (const config::Table* element = (*array)[i].table()) {
          flatten(*element, key + "." + std::to_string(i), keys);
        }
      }
    } else {
      keys[key] = config::value_text(entry.value);
    }
  }
}

/// Without the quotes of a TOML string: the name of a component.
std::string component_name(const Keys& keys, const std::string& table) {
  const auto found = keys.find(table + ".name");
  if (found == keys.end() || found->second.size() < 2) return "";
  return found->second.substr(1, found->second.size() - 2);
}

/// What the host declares about a table, the chosen component's options too.
std::vector<Option> declared(const Keys& keys, const config::TableDeclaration& table) {
  if (!table.component) return table.options;
  const std::string name = component_name(keys, table.name);
  const std::vector<Option>* own = nullptr;
  if (table.name == "optimizer") own = config::find_optimizer(name);
  if (table.name == "schedule") own = config::find_schedule(name);
  if (table.name == "data") {
    if (const data::DatasetInfo* set = data::find_dataset(name)) own = &set->options;
  }
  return own != nullptr ? *own : std::vector<Option>();
}

nlohmann::json read_result(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return nlohmann::json::object();
  const auto json = nlohmann::json::parse(storage::read_file(file), nullptr, false);
  if (json.is_object()) return json;
  throw Error(ErrorKind::storage,
              file.string() +
                  " is damaged: it is no JSON object\nhelp: continue the run with "
                  "--resume, which writes it again, or leave the run out");
}

std::string read_configuration(const fs::path& run, const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) {
    throw Error(ErrorKind::configuration,
                run.string() +
                    " has no resolved.toml: its configuration is unknown\nhelp: copy "
                    "the whole run directory, or leave the run out");
  }
  return storage::read_file(file);
}

/// What a run that --continue began has of its parent, where an uninterrupted run of its
/// configuration would have come to something else: "epoch 4, train.epochs = 4"; "" where it is
/// exact, or no child.
std::string other_past(const fs::path& run) {
  std::error_code error;
  const fs::path file = run / "parent.json";
  if (!fs::exists(file, error)) return "";
  const auto parent = nlohmann::json::parse(storage::read_file(file), nullptr, false);
  if (!parent.is_object() || parent.value("exact", true)) return "";
  std::string text = "epoch " + std::to_string(parent.value("epoch", std::int64_t{0}));
  const auto changed = parent.value("changed", nlohmann::json::object());
  for (const auto& [key, values] : changed.items()) {
    text += ", " + key + " = " + values.value("parent", "?");
  }
  return text;
}

std::string status_of(const runs::RunInfo& info) {
  if (info.state == runs::RunState::running) return "running";
  return info.status.empty() ? "interrupted" : info.status;
}

void make_labels_unique(std::vector<ComparedRun>& runs) {
  std::map<std::string, int> times;
  for (const ComparedRun& run : runs) ++times[run.label];
  for (ComparedRun& run : runs) {
    if (times[run.label] > 1) run.label = run.directory;
  }
}

}  // namespace

Keys result_keys(const std::string& file, std::string_view toml) {
  config::Diagnostics diagnostics;
  const config::Document document = config::parse_document(file, toml, diagnostics);
  if (diagnostics.has_errors()) throw config::to_error(diagnostics.sorted());
  Keys keys;
  flatten(document.root, "", keys);
  keys.erase("name");  // where the runs lie, not what they compute
  for (const config::TableDeclaration& table : config::tables()) {
    for (const Option& option : declared(keys, table)) {
      const std::string key = table.name + "." + option.name();
      if (!option.part_of_result()) {
        keys.erase(key);
      } else if (option.default_value() && keys.count(key) == 0) {
        keys[key] = qhost::to_string(*option.default_value());
      }
    }
  }
  return keys;
}

std::vector<ComparedRun> load_runs(const std::vector<fs::path>& directories) {
  std::vector<ComparedRun> runs;
  for (const fs::path& given : directories) {
    const runs::RunDirectory run = runs::RunDirectory::open(given);
    ComparedRun compared;
    compared.directory = run.path().string();
    compared.label = (run.path().parent_path().filename() / run.path().filename()).string();
    const auto same = std::find_if(runs.begin(), runs.end(), [&](const ComparedRun& other) {
      return other.directory == compared.directory;
    });
    if (same != runs.end()) {
      throw Error(ErrorKind::configuration,
                  given.string() + " is the run " + compared.directory +
                      ", which is named twice\nhelp: name each run once: it would count twice in "
                      "the mean");
    }
    compared.status = status_of(runs::run_info(run.path()));
    compared.result = read_result(run.result());
    compared.keys =
        result_keys(run.resolved().string(), read_configuration(run.path(), run.resolved()));
    if (const std::string past = other_past(run.path()); !past.empty()) {
      compared.keys["--continue"] = past;
    }
    FoundSource source = find_source(run.path(), compared.keys);
    compared.source = std::move(source.run);
    compared.why_no_source = std::move(source.why_not);
    runs.push_back(std::move(compared));
  }
  make_labels_unique(runs);
  return runs;
}

}  // namespace qhost::report
