#include "observers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>

namespace qhost::ptq {
namespace {

class MinMax : public Observer {
 public:
  using Observer::Observer;

 protected:
  void see(const at::Tensor&, const at::Tensor& low, const at::Tensor& high) override {
    const bool first = batches() == 0;
    minimum_.copy_(first ? low : at::minimum(low, minimum_));
    maximum_.copy_(first ? high : at::maximum(high, maximum_));
  }
};

class MovingAverage : public Observer {
 public:
  using Observer::Observer;

 protected:
  void see(const at::Tensor&, const at::Tensor& low, const at::Tensor& high) override {
    const bool first = batches() == 0;
    minimum_.copy_(first ? low : moved(minimum_, low));
    maximum_.copy_(first ? high : moved(maximum_, high));
  }

 private:
  at::Tensor moved(const at::Tensor& from, const at::Tensor& to) const {
    return at::add(from, at::mul(at::sub(to, from), settings_.averaging_constant));
  }
};

/// histogram and percentile: one state, two ways to read it.
class Counting : public Observer {
 public:
  explicit Counting(const ObserverSettings& settings)
      : Observer(settings), counts_(at::zeros({Histogram::bins}, at::kFloat)) {}

  std::vector<SlotParameter> parameters() override {
    std::vector<SlotParameter> all = Observer::parameters();
    all.push_back({.name = "histogram", .tensor = counts_, .trainable = false});
    return all;
  }

  void restart() override {
    Observer::restart();
    counts_.zero_();
  }

  ValueRange range() override {
    // The search takes milliseconds. Whatever moves the state, a loaded checkpoint too, writes in
    // place and so raises the version of both tensors.
    const auto counts_version = counts_._version(), batches_version = batches_._version();
    if (!known_.low.defined() || counts_version != counts_version_ ||
        batches_version != batches_version_) {
      const at::NoGradGuard no_grad;
      known_ = settings_.kind == ObserverKind::percentile
                   ? percentile_range(state(), settings_.percentile)
                   : least_error_range(state(), settings_.search_levels);
      counts_version_ = counts_version;
      batches_version_ = batches_version;
    }
    return known_;
  }

 protected:
  void see(const at::Tensor& x, const at::Tensor& low, const at::Tensor& high) override {
    const Histogram now =
        batches() == 0 ? histogram_of(x, low, high) : extended(state(), x, low, high);
    counts_.copy_(now.counts);
    minimum_.copy_(now.low);
    maximum_.copy_(now.high);
  }

 private:
  Histogram state() const {
    return {counts_.to(at::kCPU), minimum_.to(at::kCPU), maximum_.to(at::kCPU)};
  }
  at::Tensor counts_;  // [bins]
  ValueRange known_;
  std::int64_t counts_version_ = 0, batches_version_ = 0;
};

}  // namespace

Observer::Observer(const ObserverSettings& settings)
    : settings_(settings),
      minimum_(at::zeros({}, at::kFloat)),
      maximum_(at::zeros({}, at::kFloat)),
      batches_(at::zeros({}, at::kFloat)) {}

Observer::~Observer() = default;

std::vector<SlotParameter> Observer::parameters() {
  return {{.name = "minimum", .tensor = minimum_, .trainable = false},
          {.name = "maximum", .tensor = maximum_, .trainable = false},
          {.name = "batches", .tensor = batches_, .trainable = false}};
}

void Observer::restart() {
  minimum_.zero_();
  maximum_.zero_();
  batches_.zero_();
}

std::int64_t Observer::batches() const {
  return static_cast<std::int64_t>(batches_.item<float>());
}

void Observer::observe(const at::Tensor& x) {
  if (x.numel() == 0) return;
  const at::NoGradGuard no_grad;
  const at::Tensor values = x.detach();
  const auto [low, high] = at::aminmax(values);
  see(values, low, high);
  batches_.add_(1);
}

ValueRange Observer::range() {
  return {minimum_.to(at::kCPU), maximum_.to(at::kCPU)};
}

std::unique_ptr<Observer> make_observer(const ObserverSettings& settings) {
  switch (settings.kind) {
    case ObserverKind::min_max:
      return std::make_unique<MinMax>(settings);
    case ObserverKind::moving_average:
      return std::make_unique<MovingAverage>(settings);
    case ObserverKind::histogram:
    case ObserverKind::percentile:
      break;
  }
  return std::make_unique<Counting>(settings);
}

}  // namespace qhost::ptq
