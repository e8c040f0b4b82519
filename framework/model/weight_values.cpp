#include "model/weight_values.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <vector>

#include "common/number_text.h"
#include "qhost/error.h"

namespace qhost {
namespace {

constexpr std::size_t most_lines = 20;

/// "3 of 640 values are nan"
std::string count_text(std::int64_t count, const at::Tensor& tensor, const std::string& what) {
  return std::to_string(count) + " of " + std::to_string(tensor.numel()) +
         (tensor.numel() == 1 ? " value" : " values") + (count == 1 ? " is " : " are ") + what;
}

/// As safetensors and PyTorch's users know it.
std::string type_name(at::ScalarType type) {
  if (type == at::kBool) return "bool";
  const bool is_signed = at::isSignedType(type);
  return std::string(is_signed ? "int" : "uint") + std::to_string(8 * at::elementSize(type));
}

std::int64_t count_of(const at::Tensor& mask) {
  return mask.sum().item<std::int64_t>();
}

/// What was found, and what to do about each kind.
class Faults {
 public:
  void add(const std::string& kind, const std::string& tensor, const std::string& what,
           const std::string& help) {
    lines_.push_back("\n  " + kind + ": " + tensor + ": " + what);
    for (const std::string& known : helps_) {
      if (known == help) return;
    }
    helps_.push_back(help);
  }
  void raise() const {
    if (lines_.empty()) return;
    std::string message = "the weights cannot be right:";
    for (std::size_t i = 0; i < lines_.size() && i < most_lines; ++i) message += lines_[i];
    if (lines_.size() > most_lines) {
      message += "\n  and " + std::to_string(lines_.size() - most_lines) + " more tensors";
    }
    Error error(ErrorKind::data, message);
    for (const std::string& help : helps_) error.add_help(help);
    throw error;
  }

 private:
  std::vector<std::string> lines_, helps_;
};

void check_finite(const std::string& name, const at::Tensor& tensor, Faults& faults) {
  const std::string help =
      "the training that gave these weights has diverged: take a checkpoint from before that";
  if (const std::int64_t nan = count_of(at::isnan(tensor)); nan != 0) {
    faults.add("not finite", name, count_text(nan, tensor, "nan"), help);
  }
  if (const std::int64_t infinite = count_of(at::isinf(tensor)); infinite != 0) {
    faults.add("not finite", name, count_text(infinite, tensor, "infinite"), help);
  }
}

void check_range(const std::string& name, const at::Tensor& tensor, Faults& faults) {
  if (tensor.scalar_type() != at::kDouble) return;
  const at::Tensor beyond =
      at::isfinite(tensor).logical_and_(at::isfinite(tensor.to(at::kFloat)).logical_not_());
  const std::int64_t count = count_of(beyond);
  if (count == 0) return;
  const auto largest = at::where(beyond, tensor.abs(), 0).max().item<double>();
  faults.add("beyond float32", name,
             count_text(count, tensor, "larger than 3.40282e+38, up to ") + significant(largest),
             "the network computes in float32: give weights of its range");
}

void check_variance(const std::string& name, const at::Tensor& tensor, Faults& faults) {
  const std::int64_t negative = count_of(tensor < 0);
  if (negative == 0) return;
  const auto least = at::where(tensor < 0, tensor, 0).min().item<double>();
  faults.add("negative variance", name,
             count_text(negative, tensor, "below 0, down to ") + significant(least),
             "a batch norm divides by the root of its running_var: does the file hold another "
             "tensor under that name?");
}

}  // namespace

void require_sound_values(const Graph& graph, const std::map<std::string, at::Tensor>& tensors,
                          const std::map<std::string, std::string>& names_there) {
  const at::NoGradGuard no_grad;
  Faults faults;
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      const std::string own = node.name + "." + spec.name;
      const auto found = tensors.find(own);
      if (found == tensors.end()) continue;
      const at::Tensor& tensor = found->second;
      const auto there = names_there.find(own);
      const bool renamed = there != names_there.end() && there->second != own;
      const std::string name = own + (renamed ? " (there " + there->second + ")" : "");
      if (!tensor.is_floating_point()) {
        faults.add(
            "no float", name,
            std::to_string(tensor.numel()) + " values of type " + type_name(tensor.scalar_type()),
            "give the weights as floats: of a quantized network the codes times their "
            "scales");
        continue;
      }
      check_finite(name, tensor, faults);
      check_range(name, tensor, faults);
      if (node.op == Op::batch_norm && spec.name == "running_var") {
        check_variance(name, tensor, faults);
      }
    }
  }
  faults.raise();
}

}  // namespace qhost
