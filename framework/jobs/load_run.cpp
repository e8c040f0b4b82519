#include "jobs/load_run.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "jobs/assemble.h"
#include "jobs/find_checkpoint.h"
#include "storage/tensor_bytes.h"
#include "training/trainer.h"

namespace qhost::jobs {

LoadedRun load_run(const runs::RunDirectory& run, const config::Experiment& experiment,
                   Registry& registry, const std::string& which,
                   std::vector<std::string>& complaints) {
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  const runs::LoadedCheckpoint checkpoint = find_checkpoint(run, which, complaints);
  LoadedRun loaded{checkpoint.folder, build_model(experiment, registry), {}};
  loaded.model->load(storage::read_tensors(checkpoint.tensors, "model/"));
  loaded.position.seed = static_cast<std::uint64_t>(experiment.train.integer("seed"));
  loaded.position.epochs = experiment.train.integer("epochs");
  loaded.position.step = training::LoopState::from_json(checkpoint.state.at("loop")).step;
  return loaded;
}

LoadedRun load_last_phase(const runs::RunDirectory& run, config::Experiment experiment,
                          Registry& registry, const std::string& which,
                          std::vector<std::string>& complaints) {
  experiment.train.set("device", std::string("cpu"));
  LoadedRun loaded = load_run(run, experiment, registry, which, complaints);
  loaded.position.epochs = std::max<std::int64_t>(1, loaded.position.epochs);
  loaded.position.epoch = loaded.position.epochs - 1;
  return loaded;
}

}  // namespace qhost::jobs
