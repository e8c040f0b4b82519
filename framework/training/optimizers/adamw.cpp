#include "training/optimizers/adamw.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>

#include <utility>

namespace qhost::training {

AdamW::AdamW(const Options& options, std::vector<TrainableParameter> parameters)
    : Adam("adamw", options, std::move(parameters)) {}

void AdamW::update(const Lists& lists, double learning_rate, double weight_decay) {
  at::_foreach_add_(lists.state[2], 1);  // the kernel reads t as it is after this step
  at::_fused_adamw_(lists.values, lists.gradients, lists.state[0], lists.state[1], {},
                    lists.state[2], learning_rate, beta1_, beta2_, weight_decay, epsilon_,
                    /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace qhost::training
