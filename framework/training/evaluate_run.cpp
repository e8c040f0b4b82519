#include "training/evaluate_run.h"

#include "data/batcher.h"
#include "qhost/error.h"
#include "storage/checkpoint.h"
#include "storage/run_directory.h"
#include "training/assemble.h"
#include "training/find_checkpoint.h"
#include "training/requirements.h"
#include "training/run.h"
#include "training/tensor_bytes.h"
#include "training/trainer.h"

namespace qhost::training {
EvaluationResult evaluate_run(const EvaluationRequest& request, Registry& registry) {
  const storage::RunDirectory run = storage::RunDirectory::open(request.run);
  config::Experiment experiment = experiment_of_run(run.path(), registry);
  if (!request.device.empty()) experiment.train.set("device", request.device);
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));

  EvaluationResult result;
  const storage::LoadedCheckpoint checkpoint =
      find_checkpoint(run, request.checkpoint, result.complaints);
  result.checkpoint = checkpoint.folder;
  const std::unique_ptr<Model> model = build_model(experiment, registry);
  require_possible(experiment, model->graph(), model->plan());
  model->load(read_tensors(checkpoint.tensors, "model/"));

  const data::Dataset data = load_data(experiment);
  for (const std::string& note : data.notes) result.complaints.push_back("note: " + note);
  const data::Split* split = request.split == "test"         ? &data.test
                             : request.split == "validation" ? &data.validation
                             : request.split == "train"      ? &data.train
                                                             : nullptr;
  if (split == nullptr || split->empty()) {
    throw Error(ErrorKind::configuration,
                data.name + " has no images in split `" + request.split +
                    "` under this configuration\nhelp: --split is test, validation (with "
                    "data.validation) or train");
  }
  RunPosition position;
  position.seed = static_cast<std::uint64_t>(experiment.train.integer("seed"));
  position.epochs = experiment.train.integer("epochs");
  position.step = LoopState::from_json(checkpoint.state.at("loop")).step;
  const std::int64_t per_epoch =
      data::steps_per_epoch(data.train.count(), experiment.train.integer("batch_size"),
                            experiment.train.boolean("drop_last"));
  position.epoch = position.step > 0 ? (position.step - 1) / per_epoch : 0;
  position.steps = steps_of_run(experiment, per_epoch);
  result.figures = evaluate_final(*model, experiment, data, *split, position);
  return result;
}

}  // namespace qhost::training
