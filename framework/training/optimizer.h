/// training/optimizer.h: gradient descent over named parameters with LibTorch's fused kernels.
///
/// Each optimizer is a file of optimizers/, with its formula at the class. There g is the gradient, lr
/// the step's learning rate times the parameter's learning_rate_multiplier.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "qhost/options.h"
#include "training/parameter.h"

namespace qhost::training {

class Optimizer {
 public:
  /// A tensor that a checkpoint keeps: "stage1.conv1.weight/momentum", with the parameter's own
  /// strides (adam's ".../step" is a scalar). It shares memory with the optimizer.
  struct StateTensor {
    std::string name;
    at::Tensor tensor;
  };

  virtual ~Optimizer();

  /// One update of all parameters that have a gradient; the others, their state included, stay as
  /// they are. Records no graph. Throws Error (internal), naming the parameter and both values,
  /// when a gradient or state does not fit its parameter.
  virtual void step(double learning_rate) = 0;
  /// Drops the gradients: they are undefined afterwards, not zero.
  void zero_gradients();
  const std::vector<TrainableParameter>& parameters() const { return parameters_; }

  virtual std::vector<StateTensor> state() = 0;
  /// {"optimizer": "sgd", "steps": 12}: the calls of step() that were made.
  virtual nlohmann::json counters() const = 0;
  /// Continues from what state() and counters() gave: values are copied into the own tensors,
  /// whatever strides the given ones have. `tensors` holds exactly the names of state(). Throws
  /// Error (storage), before anything is changed, when a name is missing or unknown, a shape or
  /// type differs, or the counters are another optimizer's.
  virtual void restore(const std::map<std::string, at::Tensor>& tensors,
                       const nlohmann::json& counters) = 0;

 protected:
  explicit Optimizer(std::vector<TrainableParameter> parameters);
  std::vector<TrainableParameter> parameters_;
};

/// `name` is sgd, adam or adamw; `options` are the validated ones of that optimizer: momentum and
/// nesterov, or beta1, beta2 and epsilon. Its learning_rate, weight_decay and weight_decay_on are
/// the caller's: they reach step() and the parameters. Throws OptionError for options that do not
/// fit together, Error (configuration) for an unknown name, Error (internal) for a parameter that
/// is no leaf, requires no gradient, has no dense memory or whose name occurs twice.
std::unique_ptr<Optimizer> make_optimizer(const std::string& name, const Options& options,
                                          std::vector<TrainableParameter> parameters);

}  // namespace qhost::training
