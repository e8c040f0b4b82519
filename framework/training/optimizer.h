/// training/optimizer.h: gradient descent over named parameters with LibTorch's fused kernels.
///
/// g is the gradient plus, in sgd and adam, weight_decay * w; lr the step's learning rate times the
/// parameter's learning_rate_multiplier.
///
///   sgd    v <- momentum * v + g                              (v = 0 before the first step)
///          w <- w - lr * v,  with nesterov  w <- w - lr * (g + momentum * v)
///   adam   m <- beta1 * m + (1 - beta1) * g,  s <- beta2 * s + (1 - beta2) * g^2
///          w <- w - lr * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon)
///   adamw  as adam with g the bare gradient, after  w <- (1 - lr * weight_decay) * w
///
/// (Sutskever et al. 2013 in PyTorch's form; Kingma and Ba, 1412.6980; Loshchilov and Hutter,
/// 1711.05101.) t counts the steps in which the parameter had a gradient.
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

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), norm = the Euclidean norm of all of
/// them together, and returns that norm (float32 scalar on the device: no synchronization). No
/// gradient at all: 0. The factor is the one of torch.nn.utils.clip_grad_norm_.
at::Tensor clip_gradient_norm(const std::vector<TrainableParameter>& parameters, double max_norm);

}  // namespace qhost::training
