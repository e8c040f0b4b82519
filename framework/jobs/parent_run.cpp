#include "jobs/parent_run.h"

#include <algorithm>

#include "data/data_loader.h"
#include "jobs/find_checkpoint.h"
#include "jobs/run.h"
#include "qhost/error.h"
#include "storage/atomic_file.h"
#include "storage/json_lines.h"
#include "storage/sha256.h"
#include "training/schedule.h"
#include "training/trainer.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

constexpr const char* tensors_file = "state.safetensors";
constexpr const char* may_change =
    "--continue takes other epochs, learning rates, schedules, augmentations and batch "
    "sizes; the network, the quantizers, the data set and the seed stay those of the run";

fs::path record_file(const fs::path& run) {
  return run / "parent.json";
}

/// True for keys that past steps have fixed: they decide which tensors exist and how they started.
bool is_fixed(const std::string& key) {
  for (const char* table : {"data.", "model.", "quantizer.", "calibration."}) {
    if (key.starts_with(table)) return true;
  }
  return key == "train.seed" || key == "optimizer.name" || key == "train.init_from" ||
         key == "train.init_except";
}

/// True for keys that only affect the learning rates, which are compared step by step.
bool is_of_schedule(const std::string& key) {
  return key == "train.epochs" || key == "train.max_steps" || key == "optimizer.learning_rate" ||
         key.starts_with("schedule.");
}

std::int64_t steps_per_epoch(const config::Experiment& experiment, const data::Dataset& data) {
  return data::steps_per_epoch(data.train.count(), experiment.train.integer("batch_size"),
                               experiment.train.boolean("drop_last"));
}

training::Schedule schedule_of(const config::Experiment& experiment) {
  return training::make_schedule(experiment.schedule.name, experiment.schedule.options,
                                 experiment.optimizer.options.real("learning_rate"),
                                 experiment.train.integer("epochs"));
}

std::string number(double value) {
  return qhost::to_string(OptionValue(value));
}

/// Why the learning rates of the parent's first `steps` steps differ from the child's; "" if they
/// are equal.
std::string other_rates(const config::Experiment& parent, const config::Experiment& child,
                        std::int64_t steps, std::int64_t per_epoch) {
  const training::Schedule before = schedule_of(parent), now = schedule_of(child);
  for (std::int64_t step = 0; step < steps; ++step) {
    const double old_rate = before.learning_rate(step, per_epoch);
    const double new_rate = now.learning_rate(step, per_epoch);
    if (old_rate == new_rate) continue;
    return "step " + std::to_string(step + 1) + " had the learning rate " + number(old_rate) +
           ", the schedule `" + child.schedule.name + "` of " +
           std::to_string(child.train.integer("epochs")) + " epochs gives it " + number(new_rate);
  }
  return "";
}

/// The child, if the same command has made one before, when `latest` still named its parent.
std::optional<ParentRun> own_child(const runs::RunDirectory& run, const std::string& given,
                                   const std::string& which, const config::Experiment& experiment,
                                   Registry& registry) {
  const nlohmann::json record = read_parent(run.path());
  if (record.is_null() || record.value("given", "") != given ||
      record.value("which", "") != which ||
      experiment_of_run(run.path(), registry).result_keys() != experiment.result_keys()) {
    return {};
  }
  return ParentRun{given,
                   record.at("run").get<std::string>(),
                   which,
                   record.at("step").get<std::int64_t>(),
                   record.at("sha256").get<std::string>(),
                   std::nullopt};
}

void require_fixed(const ParentRun& parent, const runs::RunIdentity& identity,
                   bool allow_other_plugins, Registry& registry, Continuation& continuation) {
  runs::RunIdentity before = runs::read_identity(parent.run);
  before.configuration = experiment_of_run(parent.run, registry).result_keys();
  runs::RunIdentity now = identity;
  now.sha256.erase("parent");
  before.sha256.erase("parent");
  std::vector<runs::IdentityDifference> fixed, plugins;
  for (const runs::IdentityDifference& one : runs::differences(before, now)) {
    if (one.plugin_file) {
      plugins.push_back(one);
    } else if (one.is_hash() || is_fixed(one.key)) {
      fixed.push_back(one);
    } else {
      continuation.record["changed"][one.key] = {{"parent", one.before}, {"child", one.now}};
      if (!is_of_schedule(one.key)) {
        continuation.not_exact.push_back(one.key + " was " + one.before + ", " + one.now + " now");
      }
    }
  }
  for (const std::string& sentence : runs::not_compared(before, now)) {
    continuation.notes.push_back(parent.run.string() + ": " + sentence);
  }
  if (!fixed.empty()) {
    throw Error(ErrorKind::configuration,
                "--continue " + parent.given + " cannot change:" + to_text(fixed), may_change);
  }
  if (plugins.empty()) return;
  if (!allow_other_plugins) {
    throw Error(
        ErrorKind::configuration,
        "--continue " + parent.given + ": other plugin files than the run's:" + to_text(plugins),
        "put those files back, or go on all the same with --allow-other-plugins, which the result "
        "records");
  }
  for (const runs::IdentityDifference& one : plugins) {
    continuation.not_exact.push_back(one.key + " was " + one.before + ", " + one.now + " now");
  }
}

/// The bytes of metrics.jsonl before the checkpoint.
std::string lines_before(const ParentRun& parent) {
  const fs::path file = parent.run / "metrics.jsonl";
  std::error_code error;
  if (!fs::exists(file, error)) return "";
  constexpr std::uint64_t limit = std::uint64_t{1} << 30;
  const std::string text = storage::read_file(file, limit);
  const auto offset = parent.checkpoint->notes.at("metrics_offset").get<std::uint64_t>();
  return text.substr(0, std::min<std::uint64_t>(offset, text.size()));
}

std::string steps_text(const runs::RunDirectory& run) {
  std::string text;
  for (const std::int64_t step : runs::checkpoint_steps(run.checkpoints())) {
    text += (text.empty() ? "" : ", ") + std::to_string(step);
  }
  return text;
}

}  // namespace

ParentRun open_parent(const std::string& given, const std::string& which,
                      const config::Experiment& experiment, bool resumes, Registry& registry,
                      std::vector<std::string>& complaints) {
  const runs::RunDirectory run = runs::RunDirectory::open(given);
  const std::string absolute = fs::absolute(given).lexically_normal().string();
  if (resumes) {
    if (auto known = own_child(run, absolute, which, experiment, registry)) {
      return std::move(*known);
    }
  }
  if (const auto owner = runs::Lock::owner(run.path())) {
    throw Error(ErrorKind::configuration,
                "--continue " + given + ": process " + std::to_string(owner->pid) + " on host " +
                    owner->host + " works on that run since " + owner->since,
                "wait for it or stop it; a run that only was interrupted goes on with --resume");
  }
  ParentRun parent{absolute, run.path(), which, 0, "", std::nullopt};
  parent.checkpoint = find_checkpoint(run, which.empty() ? "last" : which, complaints);
  if (!parent.checkpoint->notes.contains("metrics_offset")) {
    throw Error(ErrorKind::configuration,
                "--continue " + given +
                    ": the best checkpoint was written by a version of qhost that kept no "
                    "optimizer state with it",
                "name a step with --checkpoint STEP; there are " + steps_text(run));
  }
  parent.step = training::LoopState::from_json(parent.checkpoint->state.at("loop")).step;
  parent.sha256 = storage::sha256_file(parent.checkpoint->folder / tensors_file);
  return parent;
}

void load_checkpoint(ParentRun& parent) {
  if (parent.checkpoint) return;
  std::vector<std::string> complaints;
  const runs::RunDirectory run = runs::RunDirectory::open(parent.run);
  parent.checkpoint = find_checkpoint(
      run, parent.which == "best" ? "best" : std::to_string(parent.step), complaints);
  const std::string sha256 = storage::sha256_file(parent.checkpoint->folder / tensors_file);
  if (sha256 == parent.sha256) return;
  throw Error(ErrorKind::configuration,
              parent.checkpoint->folder.string() +
                  " is not the checkpoint any more that the run was to go on from: SHA-256 " +
                  parent.sha256 + " then, " + sha256 + " now",
              "start a new run from it, without --resume");
}

Continuation plan_continuation(const ParentRun& parent, const config::Experiment& child,
                               const runs::RunIdentity& identity, const data::Dataset& data,
                               bool allow_other_plugins, Registry& registry) {
  Continuation plan;
  plan.record["changed"] = nlohmann::json::object();
  require_fixed(parent, identity, allow_other_plugins, registry, plan);

  const config::Experiment before = experiment_of_run(parent.run, registry);
  const std::int64_t old_steps = steps_per_epoch(before, data);
  const std::int64_t new_steps = steps_per_epoch(child, data);
  const std::int64_t epoch = parent.step / old_steps;
  const bool at_edge = parent.step % old_steps == 0;
  plan.step = parent.step;
  if (old_steps != new_steps) {
    if (!at_edge) {
      throw Error(ErrorKind::configuration,
                  "--continue " + parent.given +
                      ": the batch size can change at an epoch's edge; " + "step " +
                      std::to_string(parent.step) + " lies within epoch " +
                      std::to_string(epoch + 1) + " of " + std::to_string(old_steps) + " steps",
                  "keep train.batch_size = " + std::to_string(before.train.integer("batch_size")) +
                      ", or name a checkpoint at an edge with --checkpoint STEP");
    }
    plan.step = epoch * new_steps;
  }
  const std::int64_t total = training::steps_of_run(child, new_steps);
  if (total <= plan.step) {
    const bool by_epochs = child.train.integer("epochs") * new_steps == total;
    throw Error(
        ErrorKind::configuration,
        "--continue " + parent.given + ": " +
            (by_epochs ? "train.epochs = " + std::to_string(child.train.integer("epochs"))
                       : "train.max_steps = " + std::to_string(total)) +
            ", and the run has done " +
            (by_epochs ? std::to_string(epoch) + " epochs" : std::to_string(plan.step) + " steps"),
        "the epochs of both runs together are meant: set train.epochs above " +
            std::to_string(epoch) + ", or go on from an earlier --checkpoint");
  }
  if (old_steps == new_steps) {
    const std::string rates = other_rates(before, child, parent.step, old_steps);
    if (!rates.empty()) plan.not_exact.push_back(rates);
  }
  if (const nlohmann::json own = read_parent(parent.run);
      !own.is_null() && !own.value("exact", true)) {
    plan.not_exact.push_back("the run itself went on from " + own.value("run", "another one") +
                             " and is not exact");
  }
  for (const config::QuantizerRule& rule : child.quantizers) {
    const std::string& name = rule.method.name;
    if (name == "none") continue;
    // Quantizers of the installation do not read the epochs and steps of a run (SlotContext).
    for (const Registry::Loaded& plugin : registry.files_of({{"quantizer", name}})) {
      if (plugin.installed) continue;
      plan.not_exact.push_back("the quantizer `" + name + "` comes from " + plugin.path.string() +
                               " and may read how many epochs the run has");
    }
  }
  if (!at_edge && parent.step == training::steps_of_run(before, old_steps)) {
    plan.not_exact.push_back("the run ended within epoch " + std::to_string(epoch + 1) +
                             ", whose figures it wrote");
  }
  plan.record["run"] = parent.run.string();
  plan.record["given"] = parent.given;
  plan.record["which"] = parent.which;
  plan.record["step"] = parent.step;
  plan.record["epoch"] = epoch;
  plan.record["sha256"] = parent.sha256;
  plan.record["exact"] = plan.not_exact.empty();
  plan.record["not_exact"] = plan.not_exact;
  return plan;
}

std::string to_text(const ParentRun& parent, const Continuation& plan) {
  const std::string start = "going on from " + parent.run.string() + " at step " +
                            std::to_string(parent.step) + " (epoch " +
                            std::to_string(plan.record.at("epoch").get<std::int64_t>()) + "): ";
  if (plan.not_exact.empty()) {
    return start + "exact, as an uninterrupted run of this configuration";
  }
  std::string text = start + "not what an uninterrupted run of this configuration would be:";
  for (const std::string& why : plan.not_exact) text += "\n  " + why;
  return text;
}

nlohmann::json read_parent(const fs::path& child) {
  std::error_code error;
  if (!fs::exists(record_file(child), error)) return nullptr;
  auto json = nlohmann::json::parse(storage::read_file(record_file(child)), nullptr, false);
  return json.is_object() && json.contains("run") ? json : nlohmann::json();
}

void write_parent(const fs::path& child, const nlohmann::json& record) {
  storage::write_file_atomically(record_file(child), record.dump(2) + "\n");
}

bool inherit(const ParentRun& parent, const runs::RunDirectory& child, std::int64_t best_epoch) {
  storage::write_file_atomically(child.metrics(), lines_before(parent));
  if (best_epoch < 0) return true;
  const auto best = runs::load_best(parent.run / "checkpoints");
  if (!best || training::LoopState::from_json(best->state.at("loop")).best_epoch != best_epoch) {
    return false;
  }
  runs::write_best(child.checkpoints(), best->step, best->tensors.tensors(), best->state,
                   best->notes);
  return true;
}

}  // namespace qhost::jobs
