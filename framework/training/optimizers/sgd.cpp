#include "training/optimizers/sgd.h"

#include <ATen/ops/_fused_sgd.h>

#include <utility>

#include "qhost/error.h"

namespace qhost::training {

Sgd::Sgd(const Options& options, std::vector<TrainableParameter> parameters)
    : FusedOptimizer("sgd",
                     options.real("momentum") != 0 ? std::vector<StateKind>{{"momentum"}}
                                                   : std::vector<StateKind>{},
                     std::move(parameters)),
      momentum_(options.real("momentum")),
      nesterov_(options.boolean("nesterov")) {
  if (nesterov_ && momentum_ == 0) {
    throw OptionError("nesterov", "nesterov = true needs a momentum above 0, but momentum = 0",
                      "set momentum (0.9 is usual) or nesterov = false");
  }
}

void Sgd::update(const Lists& lists, double learning_rate, double weight_decay) {
  at::_fused_sgd_(lists.values, lists.gradients,
                  lists.state.empty() ? std::vector<at::Tensor>{} : lists.state[0], weight_decay,
                  momentum_, learning_rate, /*dampening=*/0, nesterov_, /*maximize=*/false,
                  /*is_first_step=*/false);
}

}  // namespace qhost::training
