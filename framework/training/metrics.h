/// training/metrics.h: metrics of training and evaluation. The sums stay on the device until they
/// are read: adding a batch does not synchronize.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "training/parameter.h"

namespace qhost::training {

struct ClassCount {
  std::int64_t correct = 0;  ///< top-1
  std::int64_t samples = 0;
  bool operator==(const ClassCount&) const = default;
};

/// The metrics of a set of samples. Accuracies are fractions of 1. Without samples, loss and
/// accuracies are NaN (null in JSON).
struct MetricsResult {
  double loss = 0;  ///< mean over the samples, with the label smoothing of the training
  /// The same without label smoothing; empty if there is none.
  std::optional<double> unsmoothed_loss;
  double top1 = 0;
  double top5 = 0;  ///< 1 with fewer than five classes
  std::int64_t samples = 0;
  std::vector<ClassCount> per_class;
};
/// {"loss", "accuracy", "top5_accuracy", "samples", "per_class": [{"correct", "samples"}, ...]},
/// and "loss_without_label_smoothing" if it is present.
nlohmann::json to_json(const MetricsResult& result);

/// Accumulates batches. A label is among the top k if fewer than k classes have a larger logit, or
/// an equal logit and a smaller index (so that top-1 is argmax, and repeatable). A NaN is larger
/// than any number: a sample with a NaN logit for its label is never correct.
class Metrics {
 public:
  Metrics(std::int64_t classes, at::Device device);
  /// `logits` [N, classes] and `labels` int64 [N] on the device; `mean_loss`, a scalar, is the mean
  /// over this batch. Records no autograd graph. Throws Error (internal) if the shapes do not fit.
  void add(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& mean_loss);
  /// Synchronizes once. A non-finite loss of any batch makes the result's loss non-finite.
  MetricsResult result() const;
  void reset();

 private:
  std::int64_t classes_;
  at::Tensor loss_sum_;  ///< float64 scalar
  at::Tensor counts_;    ///< int64 [2 * classes + 1]: correct per class, samples per class, top-5
};

/// The share of signs that flipped between two calls, per layer; zero counts as positive.
class SignFlips {
 public:
  using Layers = std::vector<std::pair<std::string, at::Tensor>>;  ///< name, latent weight
  using Shares = std::vector<std::pair<std::string, double>>;

  /// The shares since the previous call, in the order of `layers`; empty for a layer that is new.
  /// Keeps one byte per weight. Synchronizes once. Throws Error (internal) if the shape of a layer
  /// changed.
  Shares update(const Layers& layers);
  /// The stored signs, uint8 of the layers' shapes, for a checkpoint within an epoch.
  const std::map<std::string, at::Tensor>& state() const { return signs_; }
  void restore(const std::map<std::string, at::Tensor>& signs);

 private:
  std::map<std::string, at::Tensor> signs_;
};

/// A tensor that contains NaN or infinity.
struct NonFinite {
  std::string name;       ///< name of the parameter
  bool gradient = false;  ///< true: the gradient is not finite; false: the value
  std::int64_t count = 0, elements = 0;
};
/// The first parameter with a value that is not finite, else the first with such a gradient.
std::optional<NonFinite> first_non_finite(const std::vector<TrainableParameter>& parameters);

/// Returns if `loss` is finite. Otherwise throws Error (diverged) with epoch and step (given from
/// 0, shown from 1), the loss and the first bad tensor.
void require_finite_loss(double loss, std::int64_t epoch, std::int64_t step,
                         const std::vector<TrainableParameter>& parameters);

}  // namespace qhost::training
