/// training/loss.h: the losses that training minimizes.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace qhost::training {

/// (logits [N, classes], labels int64 [N]) -> the mean loss, a scalar; differentiable with respect
/// to the logits. bfloat16 and float16 logits are converted to float32; float64 is kept.
using LossFunction = std::function<at::Tensor(const at::Tensor& logits, const at::Tensor& labels)>;

/// -(1/N) sum_n sum_c q[n,c] * log softmax(logits)[n,c], where q is the one-hot label mixed with
/// the uniform distribution: (1 - s) * onehot + s / classes (Szegedy et al., 1512.00567).
/// Throws Error (internal) if the shapes do not fit.
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels,
                         double label_smoothing = 0);

/// The mean over all N * classes elements of max(0, 1 - t * y)^2, t one-hot in {-1, +1}: the
/// L2-SVM of BinaryConnect (1511.00363, section 3.1). Throws as cross_entropy.
at::Tensor squared_hinge(const at::Tensor& logits, const at::Tensor& labels);

/// The loss `name`, "cross_entropy" or "squared_hinge". Throws OptionError ("label_smoothing") for
/// a loss without smoothing, Error (configuration) for an unknown name.
LossFunction make_loss(const std::string& name, double label_smoothing);

}  // namespace qhost::training
