#include "training/load_run.h"

#include <ATen/ATen.h>

#include "training/assemble.h"
#include "training/find_checkpoint.h"
#include "training/tensor_bytes.h"
#include "training/trainer.h"

namespace qhost::training {

LoadedRun load_run(const storage::RunDirectory& run, const config::Experiment& experiment,
                   Registry& registry, const std::string& which,
                   std::vector<std::string>& complaints) {
  at::set_num_threads(static_cast<int>(experiment.train.integer("threads")));
  const storage::LoadedCheckpoint checkpoint = find_checkpoint(run, which, complaints);
  LoadedRun loaded{checkpoint.folder, build_model(experiment, registry), {}};
  loaded.model->load(read_tensors(checkpoint.tensors, "model/"));
  loaded.position.seed = static_cast<std::uint64_t>(experiment.train.integer("seed"));
  loaded.position.epochs = experiment.train.integer("epochs");
  loaded.position.step = LoopState::from_json(checkpoint.state.at("loop")).step;
  return loaded;
}

}  // namespace qhost::training
