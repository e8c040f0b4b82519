#include "training/loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <sstream>

#include "qhost/error.h"

namespace qhost::training {
namespace {

at::Tensor checked_logits(const at::Tensor& logits, const at::Tensor& labels) {
  if (logits.dim() != 2 || labels.dim() != 1 || logits.size(0) != labels.size(0) ||
      labels.scalar_type() != at::kLong) {
    std::ostringstream message;
    message << "the loss needs logits [N, classes] and int64 labels [N], not " << logits.sizes()
            << " and " << labels.scalar_type() << labels.sizes();
    throw Error(ErrorKind::internal, message.str(),
                "the network's output must have the shape {classes}");
  }
  return logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
}

}  // namespace

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                         double label_smoothing) {
  return at::cross_entropy_loss(checked_logits(logits, labels), labels, /*weight=*/{},
                                at::Reduction::Mean, /*ignore_index=*/-100, label_smoothing);
}

at::Tensor squared_hinge(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor y = checked_logits(logits, labels);
  // -t: +1 everywhere except at the label.
  const at::Tensor minus_t =
      at::ones(y.sizes(), y.options().requires_grad(false)).scatter_(1, labels.unsqueeze(1), -1.0);
  // The derivative of relu at 0 is a convention; that of its square is 0 in any case.
  return at::relu(at::addcmul(at::ones({}, minus_t.options()), minus_t, y)).square().mean();
}

LossFunction make_loss(const std::string& name, double label_smoothing) {
  if (name == "cross_entropy") {
    return [label_smoothing](const at::Tensor& logits, const at::Tensor& labels) {
      return cross_entropy(logits, labels, label_smoothing);
    };
  }
  if (name == "squared_hinge") {
    if (label_smoothing != 0) {
      throw OptionError(
          "label_smoothing",
          "label smoothing is defined for cross_entropy only, but loss = \"squared_hinge\"",
          "set label_smoothing = 0");
    }
    return squared_hinge;
  }
  throw Error(ErrorKind::configuration, "unknown loss \"" + name + "\"",
              "the losses are cross_entropy and squared_hinge");
}

}  // namespace qhost::training
