#include "training/optimizer.h"

#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "qhost/error.h"

namespace qhost::training {
namespace {

constexpr const char* defect =
    "\nhelp: this is a defect of qhost or of a plugin, not of the experiment; please report it";

template <class T>
std::string text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

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
    throw Error(ErrorKind::internal, "the gradient of " + parameter.name + " does not fit: it is " +
                                         text(gradient.scalar_type()) + text(gradient.sizes()) +
                                         " on " + gradient.device().str() + ", the parameter is " +
                                         text(value.scalar_type()) + text(value.sizes()) + " on " +
                                         value.device().str() + defect);
  }
  if (same_layout(value, gradient)) {
    return gradient;
  }
  return at::empty_like(value).copy_(gradient);  // empty_like keeps the strides of dense tensors
}

struct StateKind {
  std::string name;
  bool scalar = false;
};

/// Tensors of equal learning rate and weight decay: the arguments of one fused call.
struct Group {
  double multiplier, weight_decay;
  std::vector<std::size_t> members;
};

class FusedOptimizer : public Optimizer {
 public:
  void step(double learning_rate) override {
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

  std::vector<StateTensor> state() override {
    std::vector<StateTensor> all;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
        all.push_back({parameters_[i].name + "/" + kinds_[kind].name, state_[kind][i]});
      }
    }
    return all;
  }

  nlohmann::json counters() const override { return {{"optimizer", name_}, {"steps", steps_}}; }

  void restore(const std::map<std::string, at::Tensor>& tensors,
               const nlohmann::json& counters) override {
    const std::int64_t steps = checked_steps(counters);
    const std::vector<StateTensor> own = state();
    check_names(own, tensors);
    at::NoGradGuard no_grad;
    for (const StateTensor& entry : own) {
      entry.tensor.copy_(tensors.at(entry.name));
    }
    steps_ = steps;
  }

 protected:
  struct Lists {
    std::vector<at::Tensor> values, gradients;
    std::vector<std::vector<at::Tensor>> state;  // [kind][member]
  };

  /// State is zero and has the parameter's strides from the start: 0 * momentum + g is g to the
  /// bit, so the first step needs no case of its own, also not for a parameter whose first
  /// gradient arrives later.
  FusedOptimizer(std::string name, std::vector<StateKind> kinds,
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

  virtual void update(const Lists& lists, double learning_rate, double weight_decay) = 0;

 private:
  void collect(std::size_t member, Lists& lists) const {
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
                        text(parameter.tensor.strides()) + ", its " + kinds_[kind].name + " has " +
                        text(state.strides()) +
                        "\nhelp: choose the memory format before making the optimizer");
      }
      lists.state[kind].push_back(state);
    }
  }

  std::int64_t checked_steps(const nlohmann::json& counters) const {
    const std::string help =
        "\nhelp: resume with the [optimizer] of the run that wrote the checkpoint";
    if (!counters.is_object() || !counters.contains("optimizer") ||
        !counters["optimizer"].is_string() || !counters.contains("steps") ||
        !counters["steps"].is_number_integer()) {
      throw Error(ErrorKind::storage,
                  "the checkpoint's optimizer counters are malformed: " + counters.dump() +
                      R"(; expected {"optimizer": ")" + name_ + R"(", "steps": ...})" +
                      "\nhelp: use an earlier checkpoint of the run");
    }
    const auto name = counters["optimizer"].get<std::string>();
    if (name != name_) {
      throw Error(ErrorKind::storage, "the checkpoint was written by the optimizer \"" + name +
                                          "\", this run uses \"" + name_ + "\"" + help);
    }
    return counters["steps"].get<std::int64_t>();
  }

  void check_names(const std::vector<StateTensor>& own,
                   const std::map<std::string, at::Tensor>& tensors) const {
    const std::string help =
        "\nhelp: resume with the configuration of the run that wrote the checkpoint";
    std::set<std::string> known;
    for (const StateTensor& entry : own) {
      known.insert(entry.name);
      const auto found = tensors.find(entry.name);
      if (found == tensors.end()) {
        throw Error(ErrorKind::storage, "the checkpoint holds no optimizer state \"" + entry.name +
                                            "\" of " + text(entry.tensor.sizes()) + help);
      }
      const at::Tensor& given = found->second;
      if (given.sizes() != entry.tensor.sizes() ||
          given.scalar_type() != entry.tensor.scalar_type()) {
        throw Error(ErrorKind::storage,
                    "the checkpoint's optimizer state \"" + entry.name + "\" is " +
                        text(given.scalar_type()) + text(given.sizes()) + ", this run needs " +
                        text(entry.tensor.scalar_type()) + text(entry.tensor.sizes()) + help);
      }
    }
    for (const auto& [name, tensor] : tensors) {
      if (known.count(name) == 0) {
        throw Error(ErrorKind::storage, "the checkpoint's optimizer state \"" + name +
                                            "\" belongs to no parameter of this run" + help);
      }
    }
  }

  std::string name_;
  std::vector<StateKind> kinds_;
  std::vector<Group> groups_;
  std::vector<std::vector<at::Tensor>> state_;  // [kind][parameter]
  std::int64_t steps_ = 0;
};

class Sgd final : public FusedOptimizer {
 public:
  Sgd(const Options& options, std::vector<TrainableParameter> parameters)
      : FusedOptimizer("sgd",
                       options.real("momentum") != 0 ? std::vector<StateKind>{{"momentum"}}
                                                     : std::vector<StateKind>{},
                       std::move(parameters)),
        momentum_(options.real("momentum")),
        nesterov_(options.boolean("nesterov")) {}

 protected:
  void update(const Lists& lists, double learning_rate, double weight_decay) override {
    at::_fused_sgd_(lists.values, lists.gradients,
                    lists.state.empty() ? std::vector<at::Tensor>{} : lists.state[0], weight_decay,
                    momentum_, learning_rate, /*dampening=*/0, nesterov_, /*maximize=*/false,
                    /*is_first_step=*/false);
  }

 private:
  double momentum_;
  bool nesterov_;
};

class Adam final : public FusedOptimizer {
 public:
  Adam(std::string name, bool decoupled, const Options& options,
       std::vector<TrainableParameter> parameters)
      : FusedOptimizer(std::move(name),
                       {{"first_moment"}, {"second_moment"}, {"step", /*scalar=*/true}},
                       std::move(parameters)),
        decoupled_(decoupled),
        beta1_(options.real("beta1")),
        beta2_(options.real("beta2")),
        epsilon_(options.real("epsilon")) {}

 protected:
  void update(const Lists& lists, double learning_rate, double weight_decay) override {
    at::_foreach_add_(lists.state[2], 1);  // the kernels read t as it is after this step
    const auto fused = decoupled_ ? &fused_adamw : &fused_adam;
    fused(lists, learning_rate, beta1_, beta2_, weight_decay, epsilon_);
  }

 private:
  static void fused_adam(const Lists& lists, double learning_rate, double beta1, double beta2,
                         double weight_decay, double epsilon) {
    at::_fused_adam_(lists.values, lists.gradients, lists.state[0], lists.state[1], {},
                     lists.state[2], learning_rate, beta1, beta2, weight_decay, epsilon,
                     /*amsgrad=*/false, /*maximize=*/false);
  }
  static void fused_adamw(const Lists& lists, double learning_rate, double beta1, double beta2,
                          double weight_decay, double epsilon) {
    at::_fused_adamw_(lists.values, lists.gradients, lists.state[0], lists.state[1], {},
                      lists.state[2], learning_rate, beta1, beta2, weight_decay, epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  }

  bool decoupled_;
  double beta1_, beta2_, epsilon_;
};

}  // namespace

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
      why = "its type is " + text(tensor.scalar_type()) + ", not a floating-point one";
    } else if (!tensor.is_leaf()) {
      why = "it is the result of a computation, not a leaf";
    } else if (!tensor.requires_grad()) {
      why = "it requires no gradient";
    } else if (!tensor.is_non_overlapping_and_dense()) {
      why = "its memory has gaps or overlaps: sizes " + text(tensor.sizes()) + ", strides " +
            text(tensor.strides());
    }
    if (!why.empty()) {
      throw Error(ErrorKind::internal,
                  "the parameter " + parameter.name + " cannot be optimized: " + why + defect);
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
  if (name == "sgd") {
    if (options.boolean("nesterov") && options.real("momentum") == 0) {
      throw OptionError("nesterov",
                        "nesterov = true needs a momentum above 0, but momentum = 0\n"
                        "help: set momentum (0.9 is usual) or nesterov = false");
    }
    return std::make_unique<Sgd>(options, std::move(parameters));
  }
  if (name == "adam" || name == "adamw") {
    return std::make_unique<Adam>(name, name == "adamw", options, std::move(parameters));
  }
  throw Error(ErrorKind::configuration,
              "unknown optimizer \"" + name + "\"\nhelp: the optimizers are sgd, adam and adamw");
}

at::Tensor clip_gradient_norm(const std::vector<TrainableParameter>& parameters, double max_norm) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const TrainableParameter& parameter : parameters) {
    if (parameter.tensor.grad().defined()) {
      gradients.push_back(parameter.tensor.grad());
    }
  }
  if (gradients.empty()) {
    return at::zeros({}, parameters.empty() ? at::TensorOptions().dtype(at::kFloat)
                                            : parameters[0].tensor.options().dtype(at::kFloat));
  }
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2);
  for (at::Tensor& norm : norms) {
    norm = norm.to(gradients[0].device(), at::kFloat);
  }
  const at::Tensor norm = at::linalg_vector_norm(at::stack(norms));
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  for (at::Tensor& gradient : gradients) {
    gradient.mul_(factor.to(gradient.device(), gradient.scalar_type()));
  }
  return norm;
}

}  // namespace qhost::training
