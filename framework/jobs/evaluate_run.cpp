#include "jobs/evaluate_run.h"

#include "data/data_loader.h"
#include "jobs/assemble.h"
#include "jobs/load_run.h"
#include "jobs/requirements.h"
#include "jobs/resume.h"
#include "jobs/run.h"
#include "qhost/error.h"
#include "runs/run_directory.h"
#include "training/divergence.h"
#include "training/trainer.h"

namespace qhost::jobs {

EvaluatedRun evaluate_run(const EvaluationRequest& request, Registry& registry,
                          training::Progress& progress) {
  const runs::RunDirectory run = runs::RunDirectory::open(request.run);
  config::Experiment experiment = experiment_of_run(run.path(), registry, request.overrides);
  if (!request.device.empty()) experiment.train.set("device", request.device);

  EvaluatedRun result;
  std::vector<std::string> complaints;
  LoadedRun loaded = load_run(run, experiment, registry, request.checkpoint, complaints);
  for (const std::string& complaint : complaints) progress.note(complaint);
  result.checkpoint = loaded.checkpoint;
  require_possible(experiment, loaded.model->graph(), loaded.model->plan());

  const data::Dataset data = load_data(experiment);
  for (const std::string& note : data.notes) progress.note("note: " + note);
  if (const std::string other = changed_files(run.path(), experiment, registry, data);
      !other.empty()) {
    progress.note("warning: these are not the files that the run was made with:" + other);
  }
  const data::Split* split = request.split == "test"         ? &data.test
                             : request.split == "validation" ? &data.validation
                             : request.split == "train"      ? &data.train
                                                             : nullptr;
  if (split == nullptr || split->empty()) {
    throw Error(
        ErrorKind::configuration,
        data.name + " has no images in split `" + request.split + "` under this configuration",
        "--split is test, validation (with data.validation) or train");
  }
  RunPosition& position = loaded.position;
  const std::int64_t per_epoch =
      data::steps_per_epoch(data.train.count(), experiment.train.integer("batch_size"),
                            experiment.train.boolean("drop_last"));
  position.epoch = position.step > 0 ? (position.step - 1) / per_epoch : 0;
  position.steps = training::steps_of_run(experiment, per_epoch);
  result.evaluation = training::evaluate_final(*loaded.model, experiment, data, *split, position,
                                               training::watch(progress, request.split));
  training::require_finite_metrics(result.evaluation.metrics, {data, *split, request.split},
                                   *loaded.model, experiment, position);
  return result;
}

}  // namespace qhost::jobs
