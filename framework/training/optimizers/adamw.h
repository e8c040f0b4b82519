/// training/optimizers/adamw.h: adam whose weight decay does not enter the moments.
#pragma once

#include <vector>

#include "training/optimizers/adam.h"

namespace qhost::training {

/// First  w <- (1 - lr * weight_decay) * w,  then adam's step with g the bare gradient.
/// (Loshchilov and Hutter, ICLR 2019, arXiv 1711.05101, in PyTorch's form: the decay is multiplied
/// by the learning rate.)
class AdamW final : public Adam {
 public:
  AdamW(const Options& options, std::vector<TrainableParameter> parameters);

 protected:
  void update(const Lists& lists, double learning_rate, double weight_decay) override;
};

}  // namespace qhost::training
