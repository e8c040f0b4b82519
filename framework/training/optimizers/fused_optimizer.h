/// training/optimizers/fused_optimizer.h: what sgd, adam and adamw share. It groups the parameters
/// that one call of a LibTorch fused kernel can update, and keeps their state.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "training/optimizer.h"

namespace qhost::training {

class FusedOptimizer : public Optimizer {
 public:
  void step(double learning_rate) override;
  std::vector<StateTensor> state() override;
  nlohmann::json counters() const override;
  void restore(const std::map<std::string, at::Tensor>& tensors,
               const nlohmann::json& counters) override;

 protected:
  /// One state tensor for each parameter: of its shape, or a scalar.
  struct StateKind {
    std::string name;
    bool scalar = false;
  };
  /// The arguments of one call of a fused kernel.
  struct Lists {
    std::vector<at::Tensor> values, gradients;
    std::vector<std::vector<at::Tensor>> state;  ///< [kind][member]
  };

  /// State is zero and has the parameter's strides from the start: 0 * momentum + g is g to the
  /// bit, so the first step needs no case of its own, also not for a parameter whose first
  /// gradient arrives later.
  FusedOptimizer(std::string name, std::vector<StateKind> kinds,
                 std::vector<TrainableParameter> parameters);
  /// `learning_rate` is that of the group: the step's times the parameters' multiplier.
  virtual void update(const Lists& lists, double learning_rate, double weight_decay) = 0;

 private:
  /// Parameters of equal multiplier, weight decay, device and type.
  struct Group {
    double multiplier, weight_decay;
    std::vector<std::size_t> members;
  };

  void collect(std::size_t member, Lists& lists) const;
  std::int64_t checked_steps(const nlohmann::json& counters) const;
  void check_names(const std::vector<StateTensor>& own,
                   const std::map<std::string, at::Tensor>& tensors) const;

  std::string name_;
  std::vector<StateKind> kinds_;
  std::vector<Group> groups_;
  std::vector<std::vector<at::Tensor>> state_;  // [kind][parameter]
  std::int64_t steps_ = 0;
};

}  // namespace qhost::training
