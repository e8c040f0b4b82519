#include "training/metrics.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "qhost/error.h"

namespace qhost::training {
namespace {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

std::string shape_text(const at::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.scalar_type() << tensor.sizes();
  return out.str();
}

}  // namespace

nlohmann::json to_json(const MetricsResult& result) {
  nlohmann::json classes = nlohmann::json::array();
  for (const ClassCount& count : result.per_class) {
    classes.push_back({{"correct", count.correct}, {"samples", count.samples}});
  }
  nlohmann::json json = {{"loss", number(result.loss)},
                         {"accuracy", number(result.top1)},
                         {"top5_accuracy", number(result.top5)},
                         {"samples", result.samples},
                         {"per_class", std::move(classes)}};
  if (result.unsmoothed_loss) {
    json["loss_without_label_smoothing"] = number(*result.unsmoothed_loss);
  }
  return json;
}

Metrics::Metrics(std::int64_t classes, at::Device device) : classes_(classes) {
  loss_sum_ = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device));
  counts_ = at::zeros({2 * classes + 1}, at::TensorOptions().dtype(at::kLong).device(device));
}

void Metrics::add(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& mean_loss) {
  if (logits.dim() != 2 || logits.size(1) != classes_ || labels.dim() != 1 ||
      labels.size(0) != logits.size(0) || labels.scalar_type() != at::kLong) {
    throw Error(ErrorKind::internal,
                "metrics of " + std::to_string(classes_) + " classes got logits " +
                    shape_text(logits) + " and labels " + shape_text(labels),
                "give logits [N, " + std::to_string(classes_) + "] and int64 labels [N]");
  }
  at::NoGradGuard no_grad;
  const std::int64_t samples = labels.size(0);
  if (samples == 0) {
    return;  // the mean loss of 0 samples is NaN
  }
  loss_sum_.add_(mean_loss.to(at::kDouble), samples);
  // rank is the number of classes before the label's class. The comparison is "not below", so that
  // a NaN on either side counts as before.
  const at::Tensor column = labels.unsqueeze(1);
  const at::Tensor own = logits.gather(1, column);
  const at::Tensor index = at::arange(classes_, labels.options()).unsqueeze(0);
  const at::Tensor before =
      at::where(index < column, (logits < own).logical_not_(), (logits <= own).logical_not_());
  const at::Tensor rank = before.logical_and_(index != column).sum(1);
  counts_.narrow(0, 0, classes_).scatter_add_(0, labels, (rank == 0).to(at::kLong));
  counts_.narrow(0, classes_, classes_).scatter_add_(0, labels, at::ones_like(labels));
  counts_.narrow(0, 2 * classes_, 1).add_((rank < 5).sum());
}

MetricsResult Metrics::result() const {
  // A single transfer: counts below 2^53 are exact in float64.
  const at::Tensor all = at::cat({counts_.to(at::kDouble), loss_sum_.reshape({1})}).cpu();
  const double* values = all.const_data_ptr<double>();
  MetricsResult result;
  std::int64_t correct = 0;
  for (std::int64_t c = 0; c < classes_; ++c) {
    result.per_class.push_back(
        {static_cast<std::int64_t>(values[c]), static_cast<std::int64_t>(values[classes_ + c])});
    correct += result.per_class.back().correct;
    result.samples += result.per_class.back().samples;
  }
  const auto share = [&](double sum) {
    return result.samples == 0 ? std::numeric_limits<double>::quiet_NaN()
                               : sum / static_cast<double>(result.samples);
  };
  result.top1 = share(static_cast<double>(correct));
  result.top5 = share(values[2 * classes_]);
  result.loss = share(values[2 * classes_ + 1]);
  return result;
}

void Metrics::reset() {
  loss_sum_.zero_();
  counts_.zero_();
}

SignFlips::Shares SignFlips::update(const Layers& layers) {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> flipped;
  Shares shares;
  std::map<std::string, at::Tensor> fresh;
  for (const auto& [name, latent] : layers) {
    at::Tensor signs = (latent.detach() >= 0).to(at::kByte);
    const auto previous = signs_.find(name);
    if (previous != signs_.end()) {
      if (previous->second.sizes() != signs.sizes()) {
        throw Error(ErrorKind::internal,
                    "the signs of " + name + " changed their shape from " +
                        shape_text(previous->second) + " to " + shape_text(signs),
                    "a layer's latent weight keeps its shape");
      }
      flipped.push_back((previous->second.to(signs.device()) != signs).sum().cpu());
      shares.emplace_back(name, static_cast<double>(signs.numel()));
    }
    fresh.emplace(name, std::move(signs));
  }
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double elements = shares[i].second;
    const auto flips = static_cast<double>(flipped[i].item<std::int64_t>());
    shares[i].second = elements == 0 ? 0 : flips / elements;
  }
  for (auto& [name, signs] : fresh) {
    signs_[name] = std::move(signs);
  }
  return shares;
}

void SignFlips::restore(const std::map<std::string, at::Tensor>& signs) {
  std::map<std::string, at::Tensor> fresh;
  for (const auto& [name, tensor] : signs) {
    if (tensor.scalar_type() != at::kByte) {
      throw Error(ErrorKind::storage,
                  "the kept signs of " + name + " are " + shape_text(tensor) + ", not uint8",
                  "use an earlier checkpoint");
    }
    fresh.emplace(name, tensor.clone());
  }
  signs_ = std::move(fresh);
}

std::optional<NonFinite> first_non_finite(const std::vector<TrainableParameter>& parameters) {
  at::NoGradGuard no_grad;
  for (const bool gradient : {false, true}) {
    for (const TrainableParameter& parameter : parameters) {
      const at::Tensor& tensor = gradient ? parameter.tensor.grad() : parameter.tensor;
      if (!tensor.defined()) {
        continue;
      }
      const auto bad = at::isfinite(tensor).logical_not_().sum().item<std::int64_t>();
      if (bad != 0) {
        return NonFinite{parameter.name, gradient, bad, tensor.numel()};
      }
    }
  }
  return std::nullopt;
}

void require_finite_loss(double loss, std::int64_t epoch, std::int64_t step,
                         const std::vector<TrainableParameter>& parameters) {
  if (std::isfinite(loss)) {
    return;
  }
  std::ostringstream message;
  message << "the loss is "
          << (std::isnan(loss) ? "nan"
              : loss > 0       ? "inf"
                               : "-inf")
          << " in epoch " << epoch + 1 << ", step " << step + 1 << "; ";
  if (const auto bad = first_non_finite(parameters)) {
    message << "first in " << (bad->gradient ? "the gradient of " : "") << bad->name << ": "
            << bad->count << " of " << bad->elements << " values are not finite";
  } else {
    message << "all parameters and gradients are finite";
  }
  throw Error(
      ErrorKind::diverged, message.str(),
      step == 0
          ? "no step was taken yet, so it is not the learning rate: look at the first weights "
            "(train.init_from, the architecture's initialization) and at [augment]"
          : "lower optimizer.learning_rate, warm up (schedule.warmup_epochs) or clip "
            "(train.gradient_clip)");
}

}  // namespace qhost::training
