/// training/optimizers/adam.h: steps in units of the gradient's own size.
#pragma once

#include <string>
#include <vector>

#include "training/optimizers/fused_optimizer.h"

namespace qhost::training {

/// With g = gradient + weight_decay * w, m = s = 0 before the first step, and t counting the steps
/// in which the parameter had a gradient:
///
///   m <- beta1 * m + (1 - beta1) * g
///   s <- beta2 * s + (1 - beta2) * g^2
///   w <- w - lr * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon)
///
/// (Kingma and Ba, ICLR 2015, arXiv 1412.6980)
class Adam : public FusedOptimizer {
 public:
  /// `options`: beta1, beta2, epsilon.
  Adam(const Options& options, std::vector<TrainableParameter> parameters);

 protected:
  Adam(std::string name, const Options& options, std::vector<TrainableParameter> parameters);
  void update(const Lists& lists, double learning_rate, double weight_decay) override;

  double beta1_, beta2_, epsilon_;
};

}  // namespace qhost::training
