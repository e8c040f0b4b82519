#include "training/optimizer.h"

#include <ATen/ATen.h>

#include <set>
#include <utility>

#include "qhost/error.h"
#include "training/optimizer_error.h"
#include "training/optimizers/adam.h"
#include "training/optimizers/adamw.h"
#include "training/optimizers/sgd.h"

namespace qhost::training {

Optimizer::Optimizer(std::vector<TrainableParameter> parameters)
    : parameters_(std::move(parameters)) {
  std::set<std::string> names;
  for (const TrainableParameter& parameter : parameters_) {
    const at::Tensor& tensor = parameter.tensor;
    std::string why;
    if (!names.insert(parameter.name).second) {
      why = "its name occurs twice";
    } else if (!tensor.defined()) {
      why = "it holds no tensor";
    } else if (!tensor.is_floating_point()) {
      why = "its type is " + streamed(tensor.scalar_type()) + ", not a floating-point one";
    } else if (!tensor.is_leaf()) {
      why = "it is the result of a computation, not a leaf";
    } else if (!tensor.requires_grad()) {
      why = "it requires no gradient";
    } else if (!tensor.is_non_overlapping_and_dense()) {
      why = "its memory has gaps or overlaps: sizes " + streamed(tensor.sizes()) + ", strides " +
            streamed(tensor.strides());
    }
    if (!why.empty()) {
      throw Error(ErrorKind::internal,
                  "the parameter " + parameter.name + " cannot be optimized: " + why,
                  optimizer_defect);
    }
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::zero_gradients() {
  for (TrainableParameter& parameter : parameters_) {
    parameter.tensor.mutable_grad().reset();
  }
}

std::unique_ptr<Optimizer> make_optimizer(const std::string& name, const Options& options,
                                          std::vector<TrainableParameter> parameters) {
  if (name == "sgd") return std::make_unique<Sgd>(options, std::move(parameters));
  if (name == "adam") return std::make_unique<Adam>(options, std::move(parameters));
  if (name == "adamw") return std::make_unique<AdamW>(options, std::move(parameters));
  throw Error(ErrorKind::configuration, "unknown optimizer \"" + name + "\"",
              "the optimizers are sgd, adam and adamw");
}

}  // namespace qhost::training
