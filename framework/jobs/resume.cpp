#include "jobs/resume.h"

#include <algorithm>

#include "common/lines.h"
#include "jobs/initial_weights.h"
#include "jobs/surroundings.h"
#include "qhost/error.h"
#include "runs/checkpoint.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;
using Differences = std::vector<runs::IdentityDifference>;

bool begun(const runs::RunDirectory& run) {
  return fs::exists(run.resolved()) || !runs::checkpoint_steps(run.checkpoints()).empty();
}

runs::RunIdentity identity_of_run(const fs::path& run, Registry& registry) {
  runs::RunIdentity identity = runs::read_identity(run);
  identity.configuration = experiment_of_run(run, registry).result_keys();
  return identity;
}

bool plugin_files_only(const Differences& differences) {
  return std::all_of(differences.begin(), differences.end(),
                     [](const runs::IdentityDifference& one) { return one.plugin_file; });
}

/// The record of a difference that still counts as the same run, for readers of the result.
std::string allowed_sentence(const runs::IdentityDifference& one) {
  return one.key + ": " + one.before + " before, " + one.now + " since (--allow-other-plugins)";
}

constexpr const char* insecure_sentence =
    "plugin files that others could have written (--allow-insecure-plugins)";

void allow(std::vector<std::string>& allowed, const std::string& sentence) {
  if (std::find(allowed.begin(), allowed.end(), sentence) == allowed.end()) {
    allowed.push_back(sentence);
  }
}

void add_data(runs::RunIdentity& identity, const data::Dataset& data) {
  for (const auto& [file, sha256] : data.sha256) identity.sha256["data/" + file] = sha256;
}

void add_plugins(runs::RunIdentity& identity, const config::Experiment& experiment,
                 Registry& registry) {
  for (const Registry::Loaded& plugin : plugins_of(experiment, registry)) {
    if (!plugin.installed) identity.sha256["plugin/" + plugin.name] = plugin.sha256;
  }
}

class Finder {
 public:
  Finder(const config::Experiment& experiment, const RunRequest& request,
         const runs::RunIdentity& identity, Registry& registry)
      : experiment_(experiment), request_(request), identity_(identity), registry_(registry) {}

  /// The run in `path`, which must be of this experiment. A child that is named itself continues
  /// without checking its parent.
  FoundRun named(const fs::path& path) {
    if (request_.continue_run.empty()) {
      const runs::RunIdentity own = runs::read_identity(path);
      if (const auto parent = own.sha256.find("parent"); parent != own.sha256.end()) {
        identity_.sha256["parent"] = parent->second;
      }
    }
    FoundRun found;
    found.directory = runs::RunDirectory::open(path);
    runs::RunDirectory& run = *found.directory;
    // A run that was killed before it wrote its configuration has nothing to resume: its directory
    // is used for a new run.
    Differences allowed;
    const bool before = begun(run);
    if (before) allowed = require_same(run.path());
    run.lock();
    if (!before && begun(run)) allowed = require_same(run.path());
    found.begun = begun(run);
    const std::string status = runs::run_info(run.path()).status;
    found.finished = status == "finished";
    found.failed = status == "failed" || status == "diverged";
    if (!found.begun) return found;
    found.allowed = runs::read_allowed(run.path());
    for (const runs::IdentityDifference& one : allowed) allow(found.allowed, allowed_sentence(one));
    found.notes = runs::not_compared(runs::read_identity(run.path()), identity_);
    if (!allowed.empty()) {
      found.notes.push_back("warning: other plugin files than this run was begun with:" +
                            to_text(allowed));
    }
    return found;
  }

  FoundRun automatic() {
    std::optional<std::pair<fs::path, Differences>> nearest;
    std::vector<std::string> notes;
    const fs::path root = runs::runs_root(request_.runs_dir);
    for (const runs::RunInfo& info : runs::list_runs(root, experiment_.name)) {
      Differences other;
      try {
        if (!begun(runs::RunDirectory::open(info.path))) continue;
        other = runs::differences(identity_of_run(info.path, registry_), identity_);
      } catch (const Error& error) {
        // Whether it is this run cannot be determined. Its checkpoints may be worth more than a new
        // run.
        notes.push_back("warning: " + info.path.string() +
                        " is passed over, since it cannot be read: " + first_line(error.message()));
        continue;
      }
      if (other.empty() || (request_.allow_other_plugins && plugin_files_only(other))) {
        FoundRun found = named(info.path);
        found.notes.insert(found.notes.begin(), notes.begin(), notes.end());
        return found;
      }
      if (!nearest || other.size() < nearest->second.size()) nearest = {info.path, other};
    }
    FoundRun none;
    none.notes = std::move(notes);
    if (nearest) {
      none.notes.push_back("no run of this name is the same; the nearest is " +
                           nearest->first.string() + ", which differs:" + to_text(nearest->second));
    }
    return none;
  }

 private:
  /// Throws for a difference that is not allowed; returns the allowed ones.
  Differences require_same(const fs::path& run) const {
    const Differences other = runs::differences(identity_of_run(run, registry_), identity_);
    if (other.empty()) return other;
    const bool plugins_only = plugin_files_only(other);
    if (plugins_only && request_.allow_other_plugins) return other;
    const bool configuration_only =
        std::none_of(other.begin(), other.end(),
                     [](const runs::IdentityDifference& one) { return one.is_hash(); });
    throw Error(ErrorKind::configuration,
                run.string() + " was begun with " +
                    (configuration_only ? "another configuration:"
                     : plugins_only     ? "other plugin files:"
                                        : "another configuration or other files:") +
                    to_text(other),
                plugins_only         ? "put those files back, or go on all the same with "
                                       "--allow-other-plugins, which the result records"
                : configuration_only ? "give the same values, or start a new run without --resume"
                                     : "put those files back, or start a new run without --resume");
  }

  const config::Experiment& experiment_;
  const RunRequest& request_;
  runs::RunIdentity identity_;
  Registry& registry_;
};

}  // namespace

runs::RunIdentity identity_of(const config::Experiment& experiment, Registry& registry,
                              const data::Dataset* data, const std::string& no_data) {
  runs::RunIdentity identity;
  identity.configuration = experiment.result_keys();
  if (data == nullptr) {
    identity.unknown["data/"] = no_data;
  } else {
    add_data(identity, *data);
  }
  if (const std::string source = experiment.train.string("init_from"); !source.empty()) {
    try {
      identity.sha256["train.init_from"] = initial_weights_sha256(source);
    } catch (const Error& error) {
      identity.unknown["train.init_from"] = first_line(error.message());
    }
  }
  add_plugins(identity, experiment, registry);
  return identity;
}

FoundRun find_run(const config::Experiment& experiment, const RunRequest& request,
                  const runs::RunIdentity& identity, Registry& registry) {
  Finder finder(experiment, request, identity, registry);
  FoundRun found;
  if (!request.run_dir.empty()) {
    if (fs::exists(request.run_dir)) found = finder.named(request.run_dir);
  } else if (request.resume == "auto") {
    found = finder.automatic();
  } else if (!request.resume.empty()) {
    found = finder.named(request.resume);
  }
  if (registry.insecure_allowed()) allow(found.allowed, insecure_sentence);
  return found;
}

std::string changed_files(const fs::path& directory, const config::Experiment& experiment,
                          Registry& registry, const data::Dataset& data) {
  runs::RunIdentity now;
  add_data(now, data);
  add_plugins(now, experiment, registry);
  runs::RunIdentity before = runs::read_identity(directory);
  std::erase_if(before.sha256, [](const auto& entry) {
    return !entry.first.starts_with("data/") && !entry.first.starts_with("plugin/");
  });
  return to_text(runs::differences(before, now));
}

runs::RunDirectory make_run(const config::Experiment& experiment, const RunRequest& request) {
  if (!request.run_dir.empty()) return runs::RunDirectory::create_at(request.run_dir);
  return runs::RunDirectory::create(runs::runs_root(request.runs_dir), experiment.name);
}

}  // namespace qhost::jobs
