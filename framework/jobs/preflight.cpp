#include "jobs/preflight.h"

#include <ATen/Parallel.h>

#include <utility>

#include "common/lines.h"
#include "data/augment.h"
#include "data/known_size.h"
#include "jobs/assemble.h"
#include "jobs/parent_run.h"
#include "jobs/requirements.h"
#include "jobs/resume.h"
#include "jobs/warnings.h"
#include "model/device.h"
#include "model/layer_plans.h"
#include "report/summary.h"
#include "runs/checkpoint.h"
#include "training/batch_sizes.h"

namespace qhost::jobs {
namespace {

/// The part of the configuration that decides the number of training images.
std::string set_of(const config::Experiment& experiment) {
  std::string text;
  for (const auto& [key, value] : experiment.all_keys()) {
    if (key.starts_with("data.") || key.starts_with("augment.")) text += key + "=" + value + "\n";
  }
  return text;
}

/// The number of training images according to the published set, if that determines it.
std::optional<std::int64_t> published_images(const config::Experiment& experiment) {
  const data::DatasetInfo* info = data::find_dataset(experiment.data.name);
  if (info == nullptr) return {};
  try {
    return data::known_training_images(*info, experiment.data.options);
  } catch (const OptionError& error) {
    throw config::to_error({experiment.diagnostic_for("data", error)});
  }
}

class Check {
 public:
  Check(const config::Experiment& experiment, const RunRequest& request, Registry& registry,
        LoadedSets& sets)
      : experiment_(experiment), request_(request), registry_(registry), sets_(sets) {}

  Preflight run() {
    attempt([&] { graph_ = build_graph(experiment_, registry_); });
    if (graph_) attempt([&] { plan_ = build_plan(experiment_, registry_, *graph_); });
    if (plan_) attempt([&] { require_possible(experiment_, *graph_, *plan_); });
    attempt([&] { check_images(); });
    attempt([&] { check_request(); });
    if (graph_ && plan_ && images_) {
      attempt([&] {
        training::BatchUses uses = training::batch_uses(experiment_, plan_->needs_calibration);
        uses.calibration = uses.calibration && !has_weights_;
        training::require_batches(experiment_, *graph_, *images_, uses);
      });
    }
    if (graph_) attempt([&] { check_weights(); });
    if (graph_ && plan_) {
      for (std::string& warning : plan_warnings(experiment_, *plan_)) {
        result_.notes.push_back(std::move(warning));
      }
      for (std::string& warning :
           run_warnings(experiment_, *graph_, *plan_, images_, data_ ? &*data_ : nullptr,
                        weights_ ? &*weights_ : nullptr)) {
        result_.notes.push_back(std::move(warning));
      }
    }
    return std::move(result_);
  }

 private:
  template <class Work>
  void attempt(Work work) {
    try {
      work();
    } catch (const Error& error) {
      result_.faults.push_back(error);
    }
  }

  void check_images() {
    const auto [known, is_new] = sets_.try_emplace(set_of(experiment_), -1);
    if (is_new || known->second < 0) {
      try {
        at::set_num_threads(static_cast<int>(experiment_.train.integer("threads")));
        data_ = load_data(experiment_);
        known->second = data_->train.count();
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::data) throw;
        result_.no_data = error;
        images_ = published_images(experiment_);
        return;
      }
    }
    images_ = known->second;
  }

  /// Checks the existing run that this one resumes or continues.
  void check_request() {
    if (request_.resume.empty() && request_.run_dir.empty() && request_.continue_run.empty()) {
      return;
    }
    runs::RunIdentity identity =
        identity_of(experiment_, registry_, data_ ? &*data_ : nullptr,
                    result_.no_data ? result_.no_data->what() : "it was read for another point");
    std::optional<ParentRun> parent;
    if (!request_.continue_run.empty()) {
      has_weights_ = true;
      parent = open_parent(request_.continue_run, request_.checkpoint, experiment_,
                           request_.resume == "auto", registry_, result_.notes);
      identity.sha256["parent"] = parent->sha256;
    }
    const FoundRun found = find_run(experiment_, request_, identity, registry_);
    for (const std::string& note : found.notes) result_.notes.push_back(note);
    const bool continues =
        found.finished ||
        (found.begun && !runs::checkpoint_steps(found.directory->checkpoints()).empty());
    has_weights_ = has_weights_ || continues;
    if (!parent || continues || !data_) return;
    load_checkpoint(*parent);
    const Continuation plan = plan_continuation(*parent, experiment_, identity, *data_,
                                                request_.allow_other_plugins, registry_);
    for (const std::string& note : plan.notes) result_.notes.push_back("note: " + note);
    result_.notes.push_back(to_text(*parent, plan));
  }

  /// Checks the first weights; if the rules are wrong, against the network in float.
  void check_weights() {
    const std::unique_ptr<Model> model =
        plan_ ? build_model(experiment_, registry_)
              : std::make_unique<Model>(*graph_, Plan(), ModelOptions());
    if (experiment_.train.string("init_from").empty() || has_weights_) return;
    weights_ = read_initial_weights(experiment_, registry_, *model);
  }

  const config::Experiment& experiment_;
  const RunRequest& request_;
  Registry& registry_;
  LoadedSets& sets_;
  std::optional<Graph> graph_;
  std::optional<Plan> plan_;
  std::optional<data::Dataset> data_;
  std::optional<std::int64_t> images_;
  bool has_weights_ = false;  ///< a checkpoint provides the weights
  std::optional<InitialWeights> weights_;
  Preflight result_;
};

}  // namespace

Preflight preflight(const config::Experiment& experiment, const RunRequest& request,
                    Registry& registry, LoadedSets& sets) {
  return Check(experiment, request, registry, sets).run();
}

std::vector<std::string> run_warnings(const config::Experiment& experiment, const Graph& graph,
                                      const Plan& plan, std::optional<std::int64_t> images,
                                      const data::Dataset* data, const InitialWeights* weights) {
  const report::Summary summary = report::summarize(graph, layer_plans(graph, plan));
  RunFacts facts{.images = images,
                 .summary = &summary,
                 .calibrates = plan.needs_calibration || plan.bias_correction,
                 .source = weights == nullptr ? std::nullopt : weights->source};
  if (weights != nullptr) facts.published = weights->published;
  if (data != nullptr) {
    const data::AugmentOptions augment = data::evaluation_options(experiment.augment, *data);
    facts.mean.assign(augment.mean.begin(), augment.mean.end());
    facts.deviation.assign(augment.std.begin(), augment.std.end());
  }
  std::vector<std::string> texts;
  for (const config::Diagnostic& warning : warnings_of(experiment, facts)) {
    texts.push_back(without_last_breaks(config::render(warning)));
  }
  return texts;
}

}  // namespace qhost::jobs
