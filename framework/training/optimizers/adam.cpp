#include "training/optimizers/adam.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>

#include <utility>

namespace qhost::training {

Adam::Adam(const Options& options, std::vector<TrainableParameter> parameters)
    : Adam("adam", options, std::move(parameters)) {}

Adam::Adam(std::string name, const Options& options, std::vector<TrainableParameter> parameters)
    : FusedOptimizer(std::move(name),
                     {{"first_moment"}, {"second_moment"}, {"step", /*scalar=*/true}},
                     std::move(parameters)),
      beta1_(options.real("beta1")),
      beta2_(options.real("beta2")),
      epsilon_(options.real("epsilon")) {}

void Adam::update(const Lists& lists, double learning_rate, double weight_decay) {
  at::_foreach_add_(lists.state[2], 1);  // the kernel reads t as it is after this step
  at::_fused_adam_(lists.values, lists.gradients, lists.state[0], lists.state[1], {},
                   lists.state[2], learning_rate, beta1_, beta2_, weight_decay, epsilon_,
                   /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace qhost::training
