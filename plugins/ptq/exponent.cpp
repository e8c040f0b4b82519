#include "exponent.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/div.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/round.h>
#include <ATen/ops/square.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace qhost::ptq {
namespace {

constexpr int smallest_exponent = -126, largest_exponent = 127;

int within(int exponent) {
  return std::clamp(exponent, smallest_exponent, largest_exponent);
}

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kCPU, at::kDouble).contiguous();
  const auto* data = flat.const_data_ptr<double>();
  return {data, data + flat.numel()};
}

/// 2^v as [sets, 1], in double.
at::Tensor steps_of(const std::vector<int>& exponents, const at::Tensor& like) {
  std::vector<double> steps;
  for (const int v : exponents) steps.push_back(std::ldexp(1.0, v));
  return at::tensor(steps, like.options()).reshape({-1, 1});
}

/// The smallest v at which neither end of the range saturates.
int without_saturation(double minimum, double maximum, int bits) {
  const double magnitude = std::max(-minimum, maximum);
  if (magnitude == 0) return 0;
  if (!std::isfinite(magnitude)) return largest_exponent;  // of a training that diverges
  const double highest = std::ldexp(1.0, bits - 1) - 1, lowest = -std::ldexp(1.0, bits - 1);
  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude < 2^exponent
  int v = exponent - bits;
  while (std::nearbyint(std::ldexp(maximum, -v)) > highest ||
         std::nearbyint(std::ldexp(minimum, -v)) < lowest) {
    ++v;
  }
  return v;
}

struct Noise {
  std::vector<double> total;       // sum (W - W^)^2 of each row
  std::vector<double> saturation;  // the part that no rounding could avoid
};

Noise noise_at(const at::Tensor& rows, const std::vector<int>& exponents, int bits) {
  const double levels = std::ldexp(1.0, bits - 1);
  const at::Tensor steps = steps_of(exponents, rows);
  const at::Tensor scaled = at::div(rows, steps);
  const at::Tensor codes = at::round(scaled).clamp_(-levels, levels - 1);
  const at::Tensor inside = at::clamp(scaled, -levels, levels - 1);
  const at::Tensor area = at::square(steps).reshape({-1});
  return {numbers(at::sum(at::square(scaled - codes), {1}).mul_(area)),
          numbers(at::sum(at::square(scaled - inside), {1}).mul_(area))};
}

std::vector<int> best_of_many_levels(const at::Tensor& rows, int bits) {
  const auto [low, high] = at::aminmax(rows, 1);
  const std::vector<double> minimum = numbers(low), maximum = numbers(high);
  const std::size_t sets = minimum.size();
  std::vector<int> candidate(sets);
  for (std::size_t i = 0; i < sets; ++i) {
    candidate[i] = without_saturation(minimum[i], maximum[i], bits);
  }
  std::vector<int> best = candidate;
  std::vector<double> least(sets, std::numeric_limits<double>::infinity());
  std::vector<bool> searching(sets, true);
  while (std::find(searching.begin(), searching.end(), true) != searching.end()) {
    const Noise noise = noise_at(rows, candidate, bits);
    for (std::size_t i = 0; i < sets; ++i) {
      if (!searching[i]) continue;
      if (noise.total[i] < least[i]) {
        least[i] = noise.total[i];
        best[i] = candidate[i];
      }
      // Saturation only grows on the way down.
      searching[i] = noise.saturation[i] < least[i];
      if (searching[i]) --candidate[i];
    }
  }
  return best;
}

std::vector<int> best_of_two_levels(const at::Tensor& rows) {
  std::vector<int> best;
  for (const double mean : numbers(at::mean(at::abs(rows), at::IntArrayRef{1}))) {
    if (mean == 0) {
      best.push_back(smallest_exponent);
      continue;
    }
    int exponent = 0;
    const double fraction = std::frexp(mean, &exponent);  // mean = fraction * 2^exponent
    best.push_back(fraction < 0.75 ? exponent - 1 : exponent);
  }
  return best;
}

}  // namespace

std::vector<int> best_exponents(const at::Tensor& rows, int bits) {
  const at::Tensor exact = rows.to(at::kDouble);
  std::vector<int> best = bits == 1 ? best_of_two_levels(exact) : best_of_many_levels(exact, bits);
  std::transform(best.begin(), best.end(), best.begin(), within);
  return best;
}

}  // namespace qhost::ptq
