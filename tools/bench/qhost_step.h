/// bench/qhost_step.h: one training step of ResNet-20, as in the trainer.
#pragma once

#include <memory>
#include <vector>

#include "data/data_loader.h"
#include "model/model.h"
#include "registry/registry.h"
#include "training/batch.h"
#include "training/loss.h"
#include "training/optimizer.h"
#include "training/schedule.h"

namespace qhost::bench {

Graph resnet20(Registry& registry);
/// The method of a plugin, with the defaults of all options that `options` does not give.
MethodRule method_rule(Registry& registry, const std::string& name,
                       const std::map<std::string, OptionValue>& options);
/// A method that uses the latent weights unchanged, in every layer.
MethodRule nothing();

/// Everything in a run; step() makes one training step, batch and metrics included.
class QhostStep {
 public:
  QhostStep(const Graph& graph, const std::vector<MethodRule>& rules, Precision precision,
            const data::Split& images, std::int64_t batch_size);
  void step();
  Model& model() { return model_; }
  double loss() const { return loss_value_; }

 private:
  Model model_;
  data::DataLoader batches_;
  training::BatchBuffer buffer_;
  std::unique_ptr<training::Optimizer> optimizer_;
  training::Schedule schedule_;
  training::LossFunction loss_;
  std::int64_t step_ = 0, correct_ = 0;
  double loss_value_ = 0;
};

/// The seconds of the calls of all weight slots in one step, without the network: making the
/// context, the slot's forward() and after_step().
double slot_call_seconds(Model& model);

}  // namespace qhost::bench
