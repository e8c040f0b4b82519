/// training/optimizers/sgd.h: stochastic gradient descent with momentum.
#pragma once

#include <vector>

#include "training/optimizers/fused_optimizer.h"

namespace qhost::training {

/// With g = gradient + weight_decay * w and v = 0 before the first step:
///
///   v <- momentum * v + g
///   w <- w - lr * v,   with nesterov   w <- w - lr * (g + momentum * v)
///
/// (Sutskever et al., ICML 2013, in PyTorch's form: the learning rate does not enter v.)
class Sgd final : public FusedOptimizer {
 public:
  /// `options`: momentum, nesterov. Throws OptionError for nesterov without momentum.
  Sgd(const Options& options, std::vector<TrainableParameter> parameters);

 protected:
  void update(const Lists& lists, double learning_rate, double weight_decay) override;

 private:
  double momentum_;
  bool nesterov_;
};

}  // namespace qhost::training
