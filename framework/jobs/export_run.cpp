#include "jobs/export_run.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/version.h"
#include "data/augment.h"
#include "data/common_options.h"
#include "data/normalization.h"
#include "jobs/assemble.h"
#include "jobs/load_run.h"
#include "jobs/resume.h"
#include "jobs/run.h"
#include "lowering/pack/pack.h"
#include "model/lower_custom.h"
#include "packed/program_file.h"
#include "runs/run_directory.h"
#include "runs/run_result.h"
#include "runtime/plan.h"
#include "storage/atomic_file.h"
#include "storage/sha256.h"
#include "training/evaluate.h"

namespace qhost::jobs {
namespace {

using nlohmann::json;

json json_of(const OptionValue& value) {
  return std::visit([](const auto& v) { return json(v); }, value);
}

/// The options that the experiment set to another value than the default.
json chosen_options(const QuantizerMethod& method, const Options& options) {
  json chosen = json::object();
  for (const Option& option : method.options) {
    const OptionValue& value = options.values().at(option.name());
    if (option.default_value() && *option.default_value() == value) continue;
    chosen[option.name()] = json_of(value);
  }
  return chosen;
}

json quantizers_of(const config::Experiment& experiment, Registry& registry) {
  json all = json::array();
  for (const config::QuantizerRule& rule : experiment.quantizers) {
    json one = {{"name", rule.method.name}};
    if (rule.layers != std::vector<std::string>{"*"}) one["layers"] = rule.layers;
    if (!rule.roles.empty()) one["roles"] = rule.roles;
    if (rule.method.name != "none") {
      const json options =
          chosen_options(registry.quantizer(rule.method.name), rule.method.options);
      if (!options.empty()) one["options"] = options;
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::vector<std::string> class_names(const data::DatasetInfo& info, const Options& options) {
  const std::vector<std::string> all = info.class_names(options);
  std::vector<std::string> names;
  for (const std::int64_t label :
       data::chosen_classes(options, static_cast<std::int64_t>(all.size()))) {
    names.push_back(all[static_cast<std::size_t>(label)]);
  }
  return names;
}

/// What the images of this experiment are normalized with.
data::AugmentOptions normalization(const config::Experiment& experiment,
                                   const data::DatasetInfo& info) {
  data::Dataset set;
  set.image = info.image;
  if (const auto known = data::known_normalization(info.name)) {
    set.mean = known->mean;
    set.std = known->std;
  } else {
    set = load_data(experiment);
  }
  return data::evaluation_options(experiment.augment, set);
}

/// A run's files are not to be lost, nor anything else that is no packed network.
void require_free(const std::filesystem::path& file) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path place = fs::weakly_canonical(fs::absolute(file, ignored), ignored).parent_path();
  for (fs::path folder = place; folder.has_relative_path(); folder = folder.parent_path()) {
    const auto has = [&](const char* name) { return fs::exists(folder / name, ignored); };
    if (!has("resolved.toml") || !(has("checkpoints") || has("result.json"))) continue;
    throw Error(ErrorKind::configuration, file.string() + " lies in the run " + folder.string(),
                "name a place outside of it");
  }
  if (!fs::exists(fs::symlink_status(file, ignored))) return;
  try {
    packed::read_program(file);
  } catch (const Error&) {
    throw Error(ErrorKind::configuration,
                file.string() + " exists, and is no packed network of this version",
                "choose another name, or remove it");
  }
}

void add_complaints(const runs::RunDirectory& run, std::vector<std::string>& complaints) {
  const auto result = runs::read_run_result(run.result(), "");
  const std::string where = "note: " + run.path().string() + " ";
  if (!result) {
    complaints.push_back(where + "is not finished: it has no result.json yet");
  } else if (result->status && *result->status != "finished") {
    complaints.push_back(where + "is not finished: its status is " + *result->status);
  } else if (result->verified && *result->verified == false) {
    complaints.push_back(where +
                         "failed its proof: its packed network does not compute what was trained");
  }
}

}  // namespace

packed::Provenance provenance_of(const runs::RunDirectory& run,
                                 const config::Experiment& experiment, Registry& registry,
                                 const std::filesystem::path& checkpoint, bool tested) {
  packed::Provenance about{.name = experiment.name};
  about.more = {{"run", run.id()},
                {"qhost", version()},
                {"checkpoint", checkpoint.filename().string()},
                {"data", experiment.data.name},
                {"model", experiment.model.name},
                {"quantizers", quantizers_of(experiment, registry)}};
  if (!commit().empty()) about.more["commit"] = commit();
  if (const auto result = runs::read_run_result(run.result(), ""); result && tested) {
    if (result->test_accuracy) about.more["test_accuracy"] = *result->test_accuracy;
  }
  const data::DatasetInfo* info = data::find_dataset(experiment.data.name);
  if (info == nullptr) return about;
  about.class_names = class_names(*info, experiment.data.options);
  if (data::whitened(experiment.augment)) {
    // No mean and deviation make these images from pixels.
    about.more["whitening"] = experiment.augment.string("whitening");
    return about;
  }
  const data::AugmentOptions used = normalization(experiment, *info);
  about.mean.assign(used.mean.begin(), used.mean.end());
  about.deviation.assign(used.std.begin(), used.std.end());
  return about;
}

ExportedRun export_run(const ExportRequest& request, Registry& registry) {
  const runs::RunDirectory run = runs::RunDirectory::open(request.run);
  if (!request.file.empty()) require_free(request.file);
  const config::Experiment experiment = experiment_of_run(run.path(), registry, request.overrides);
  ExportedRun result;
  const LoadedRun loaded =
      load_last_phase(run, experiment, registry, request.checkpoint, result.complaints);
  result.checkpoint = loaded.checkpoint;
  if (experiment.train.integer("bn_recalibrate") > 0) {  // as the final evaluation
    const data::Dataset data = load_data(experiment);
    if (const std::string other = changed_files(run.path(), experiment, registry, data);
        !other.empty()) {
      throw Error(ErrorKind::data,
                  "train.bn_recalibrate takes the statistics of batch norms from the training "
                  "images, and these are not the files that the run was made with:" +
                      other,
                  "data.root=FOLDER names the folder of those files");
    }
    training::recalibrate(*loaded.model, experiment, data, loaded.position);
  }
  add_complaints(run, result.complaints);
  const InputCodesByEdge inputs = loaded.model->input_codes(loaded.position);
  result.program = pack(lower_custom_nodes(loaded.model->inference_graph(loaded.position)), inputs);
  result.program.provenance =
      provenance_of(run, experiment, registry, loaded.checkpoint, request.checkpoint == "selected");
  runtime::make_plan(result.program);  // what the engine refuses is not written
  if (request.file.empty()) return result;
  const std::string bytes = packed::to_bytes(result.program);
  storage::write_file_atomically(request.file, bytes);
  result.sha256 = storage::sha256(bytes);
  return result;
}

}  // namespace qhost::jobs
