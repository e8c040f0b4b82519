#include "report/source_run.h"

#include "common/lines.h"
#include "config/read_resolved.h"
#include "qhost/error.h"
#include "report/compared_run.h"
#include "storage/atomic_file.h"

namespace qhost::report {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

/// Moved folders can make a run its own source: the search must end.
constexpr int longest_chain = 32;

/// The file that the run read its first weights from; "" before it did.
fs::path recorded_file(const fs::path& run) {
  const fs::path record = run / "init_from.json";
  std::error_code error;
  if (!fs::is_regular_file(record, error)) return {};
  const auto json = nlohmann::json::parse(storage::read_file(record), nullptr, false);
  const auto file = json.is_object() ? json.find("file") : json.end();
  return json.is_object() && file != json.end() && file->is_string()
             ? fs::path(file->get<std::string>())
             : fs::path();
}

/// The path within the run, as part of the configuration. The step in a `best-` folder is left out:
/// it follows from the validation set. The step in a `step-` folder counts: the user chose it, or
/// the training was not over.
std::string file_key(const fs::path& run, const fs::path& file) {
  fs::path key;
  for (const fs::path& part : file.lexically_relative(run)) {
    key /= part.string().starts_with("best") ? fs::path("best") : part;
  }
  return key.string();
}

class Finder {
 public:
  explicit Finder(config::Catalog& catalog) : catalog_(catalog) {}

  FoundSource find(const fs::path& directory, const config::Experiment& experiment, int depth) {
    const fs::path given = experiment.train.string("init_from");
    if (given.empty() || depth > longest_chain) return {};
    try {
      const fs::path recorded = recorded_file(directory);
      const fs::path file = recorded.empty() ? given : recorded;
      const fs::path run = run_around(file);
      if (!run.empty()) return read(run, file, depth);
      std::error_code error;
      if (fs::exists(file, error)) return {};  // weights that no run of qhost made
      return {.run = {}, .why_not = file.string() + " is not there any more"};
    } catch (const Error& error) {
      return {.run = {}, .why_not = first_line(error.message())};
    }
  }

 private:
  FoundSource read(const fs::path& run, const fs::path& file, int depth) {
    const config::Experiment experiment = config::read_resolved(run / "resolved.toml", catalog_);
    Keys keys = compared_keys(experiment);
    SourceRun source;
    source.name = experiment.name;
    source.seed = keys["train.seed"];
    const FoundSource before = find(run, experiment, depth + 1);
    if (before.run) source.seed += " from " + before.run->seed;
    source.keys = identity(keys, before.run);
    if (file != run) source.keys["file"] = file_key(run, file);
    return {.run = std::move(source), .why_not = before.why_not};
  }

  config::Catalog& catalog_;
};

}  // namespace

fs::path run_around(fs::path path) {
  for (int level = 0; level < 4 && !path.empty(); ++level, path = path.parent_path()) {
    std::error_code error;
    if (fs::is_regular_file(path / "resolved.toml", error)) return path;
  }
  return {};
}

FoundSource find_source(const fs::path& directory, const config::Experiment& experiment,
                        config::Catalog& catalog) {
  return Finder(catalog).find(directory, experiment, 0);
}

}  // namespace qhost::report
