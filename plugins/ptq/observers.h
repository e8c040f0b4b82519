/// What decides the range of an activation. Each is PyTorch's observer of that name
/// (torch.ao.quantization), to the bit; percentile has none there.
///
///     min_max          lo = smallest, hi = largest value of all batches
///     moving_average   lo <- lo + c * (smallest of the batch - lo), hi alike; the first batch
///                      gives the start; c = 0.01
///     histogram        the part of the range with the least quantization error (histogram.h)
///     percentile       the range without the outermost (100 - p)/2 percent on each side
///
/// The state is float32 tensors, all 0 before the first batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "histogram.h"
#include "qhost/quantizer.h"

namespace qhost::ptq {

enum class ObserverKind { min_max, moving_average, histogram, percentile };

struct ObserverSettings {
  ObserverKind kind = ObserverKind::min_max;
  double averaging_constant = 0.01;
  double percentile = 99.99;
  int search_levels = 256;  ///< histogram: cells that the search places
};

class Observer {
 public:
  explicit Observer(const ObserverSettings& settings);
  virtual ~Observer();
  /// "minimum", "maximum", "batches", and "histogram" where there is one.
  virtual std::vector<SlotParameter> parameters();
  /// Forgets everything.
  virtual void restart();
  /// One batch, all finite.
  void observe(const at::Tensor& x);
  std::int64_t batches() const;
  /// The range to quantize, scalars on the CPU; batches() > 0.
  virtual ValueRange range();

 protected:
  virtual void see(const at::Tensor& x, const at::Tensor& low, const at::Tensor& high) = 0;
  ObserverSettings settings_;
  at::Tensor minimum_, maximum_, batches_;  // scalars
};

std::unique_ptr<Observer> make_observer(const ObserverSettings& settings);

}  // namespace qhost::ptq
