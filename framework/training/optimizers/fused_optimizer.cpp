#include "training/optimizers/fused_optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <set>
#include <tuple>
#include <utility>

#include "qhost/error.h"
#include "training/optimizer_error.h"

namespace qhost::training {
namespace {

/// The fused kernels walk the memory of all their tensors side by side. The stride of a dimension
/// of length 1 is never used, and autograd fills it in differently (1x1 kernels, channels_last).
/// Parameters are dense, so what has their strides is dense too.
bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return false;
  }
  for (std::int64_t dim = 0; dim < a.dim(); ++dim) {
    if (a.size(dim) > 1 && a.stride(dim) != b.stride(dim)) {
      return false;
    }
  }
  return true;
}

/// What step() needs of a gradient; without it the kernels compute garbage and say nothing.
at::Tensor conforming_gradient(const TrainableParameter& parameter) {
  const at::Tensor& gradient = parameter.tensor.grad();
  const at::Tensor& value = parameter.tensor;
  if (gradient.sizes() != value.sizes() || gradient.scalar_type() != value.scalar_type() ||
      gradient.device() != value.device() || gradient.layout() != at::kStrided) {
    throw Error(ErrorKind::internal,
                "the gradient of " + parameter.name + " does not fit: it is " +
                    streamed(gradient.scalar_type()) + streamed(gradient.sizes()) + " on " +
                    gradient.device().str() + ", the parameter is " +
                    streamed(value.scalar_type()) + streamed(value.sizes()) + " on " +
                    value.device().str(),
                optimizer_defect);
  }
  if (same_layout(value, gradient)) {
    return gradient;
  }
  return at::empty_like(value).copy_(gradient);  // empty_like keeps the strides of dense tensors
}

}  // namespace

FusedOptimizer::FusedOptimizer(std::string name, std::vector<StateKind> kinds,
                               std::vector<TrainableParameter> parameters)
    : Optimizer(std::move(parameters)), name_(std::move(name)), kinds_(std::move(kinds)) {
  at::NoGradGuard no_grad;
  state_.resize(kinds_.size());
  using Key = std::tuple<double, double, std::string, at::ScalarType>;
  std::map<Key, std::size_t> group_of;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const TrainableParameter& parameter = parameters_[i];
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
      state_[kind].push_back(kinds_[kind].scalar
                                 ? at::zeros({}, parameter.tensor.options().dtype(at::kFloat))
                                 : at::zeros_like(parameter.tensor));
    }
    const Key key{parameter.learning_rate_multiplier, parameter.weight_decay,
                  parameter.tensor.device().str(), parameter.tensor.scalar_type()};
    const auto [place, added] = group_of.emplace(key, groups_.size());
    if (added) {
      groups_.push_back({parameter.learning_rate_multiplier, parameter.weight_decay, {}});
    }
    groups_[place->second].members.push_back(i);
  }
}

void FusedOptimizer::step(double learning_rate) {
  at::NoGradGuard no_grad;
  for (const Group& group : groups_) {
    Lists lists;
    lists.state.resize(kinds_.size());
    for (std::size_t member : group.members) {
      collect(member, lists);
    }
    if (!lists.values.empty()) {
      update(lists, learning_rate * group.multiplier, group.weight_decay);
    }
  }
  ++steps_;
}

std::vector<Optimizer::StateTensor> FusedOptimizer::state() {
  std::vector<StateTensor> all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
      all.push_back({parameters_[i].name + "/" + kinds_[kind].name, state_[kind][i]});
    }
  }
  return all;
}

nlohmann::json FusedOptimizer::counters() const {
  return {{"optimizer", name_}, {"steps", steps_}};
}

void FusedOptimizer::restore(const std::map<std::string, at::Tensor>& tensors,
                             const nlohmann::json& counters) {
  const std::int64_t steps = checked_steps(counters);
  const std::vector<StateTensor> own = state();
  check_names(own, tensors);
  at::NoGradGuard no_grad;
  for (const StateTensor& entry : own) {
    entry.tensor.copy_(tensors.at(entry.name));
  }
  steps_ = steps;
}

void FusedOptimizer::collect(std::size_t member, Lists& lists) const {
  const TrainableParameter& parameter = parameters_[member];
  if (!parameter.tensor.grad().defined()) {
    return;
  }
  lists.gradients.push_back(conforming_gradient(parameter));
  lists.values.push_back(parameter.tensor);
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
    const at::Tensor& state = state_[kind][member];
    if (!kinds_[kind].scalar && !same_layout(parameter.tensor, state)) {
      throw Error(ErrorKind::internal,
                  "the layout of " + parameter.name + " changed under its optimizer: strides " +
                      streamed(parameter.tensor.strides()) + ", its " + kinds_[kind].name +
                      " has " + streamed(state.strides()),
                  "choose the memory format before making the optimizer");
    }
    lists.state[kind].push_back(state);
  }
}

std::int64_t FusedOptimizer::checked_steps(const nlohmann::json& counters) const {
  const std::string help = "resume with the [optimizer] of the run that wrote the checkpoint";
  if (!counters.is_object() || !counters.contains("optimizer") ||
      !counters["optimizer"].is_string() || !counters.contains("steps") ||
      !counters["steps"].is_number_integer()) {
    throw Error(ErrorKind::storage,
                "the checkpoint's optimizer counters are malformed: " + counters.dump() +
                    R"(; expected {"optimizer": ")" + name_ + R"(", "steps": ...})",
                "use an earlier checkpoint of the run");
  }
  const auto name = counters["optimizer"].get<std::string>();
  if (name != name_) {
    throw Error(ErrorKind::storage,
                "the checkpoint was written by the optimizer \"" + name + "\", this run uses \"" +
                    name_ + "\"",
                help);
  }
  return counters["steps"].get<std::int64_t>();
}

void FusedOptimizer::check_names(const std::vector<StateTensor>& own,
                                 const std::map<std::string, at::Tensor>& tensors) const {
  const std::string help = "resume with the configuration of the run that wrote the checkpoint";
  std::set<std::string> known;
  for (const StateTensor& entry : own) {
    known.insert(entry.name);
    const auto found = tensors.find(entry.name);
    if (found == tensors.end()) {
      throw Error(ErrorKind::storage,
                  "the checkpoint holds no optimizer state \"" + entry.name + "\" of " +
                      streamed(entry.tensor.sizes()),
                  help);
    }
    const at::Tensor& given = found->second;
    if (given.sizes() != entry.tensor.sizes() ||
        given.scalar_type() != entry.tensor.scalar_type()) {
      throw Error(ErrorKind::storage,
                  "the checkpoint's optimizer state \"" + entry.name + "\" is " +
                      streamed(given.scalar_type()) + streamed(given.sizes()) +
                      ", this run needs " + streamed(entry.tensor.scalar_type()) +
                      streamed(entry.tensor.sizes()),
                  help);
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (known.count(name) == 0) {
      throw Error(
          ErrorKind::storage,
          "the checkpoint's optimizer state \"" + name + "\" belongs to no parameter of this run",
          help);
    }
  }
}

}  // namespace qhost::training
