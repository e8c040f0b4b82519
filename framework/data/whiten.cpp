#include "data/whiten.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "common/number_text.h"
#include "data/augment.h"
#include "data/whitening_cache.h"
#include "qhost/error.h"

namespace qhost::data {
namespace {

/// The number of images per chunk: a whole set in double would take gigabytes. The number is fixed,
/// since the order of the sums decides their last bits.
constexpr std::int64_t chunk_images = 2000;

std::int64_t image_size(const data::Split& split) {
  return static_cast<std::int64_t>(split.pixels.size()) / split.count();
}

/// Calls `work` with the index of the first image and the contrast-normalized rows of each chunk.
template <class Work>
void for_each_chunk(const data::Split& split, const WhiteningOptions& options, Work work) {
  const std::int64_t size = image_size(split);
  for (std::int64_t first = 0; first < split.count(); first += chunk_images) {
    const std::int64_t count = std::min(chunk_images, split.count() - first);
    // from_blob takes no const pointer; the data are not written.
    auto* bytes = const_cast<std::uint8_t*>(split.pixels.data() + first * size);
    const at::Tensor images = at::from_blob(bytes, {count, size}, at::TensorOptions(at::kByte));
    work(first, normalize_contrast(images.to(at::kDouble), options));
  }
}

struct Moments {
  at::Tensor mean, covariance;
};

Moments moments(const data::Split& train, const WhiteningOptions& options) {
  const std::int64_t size = image_size(train);
  const auto count = static_cast<double>(train.count());
  Moments of{at::zeros({size}, at::kDouble), at::zeros({size, size}, at::kDouble)};
  double squares = 0;
  for_each_chunk(train, options, [&](std::int64_t, const at::Tensor& rows) {
    of.mean += rows.sum(0);
    squares += rows.square().sum().item<double>();
  });
  of.mean /= count;
  for_each_chunk(train, options, [&](std::int64_t, const at::Tensor& rows) {
    const at::Tensor centered = rows - of.mean;
    of.covariance.addmm_(centered.t(), centered);
  });
  of.covariance /= count;
  const double variance = of.covariance.trace().item<double>();
  if (!std::isfinite(variance)) {
    throw OptionError("gcn_scale",
                      significant(options.scale) + " gives variances that are not finite",
                      "55 is usual");
  }
  // A variance of this size is the rounding error of equal images.
  if (variance <= 1e-20 * squares / count) {
    throw Error(ErrorKind::data,
                "whitening: after the contrast normalization all " + std::to_string(train.count()) +
                    " training images are the same",
                "it needs images that differ");
  }
  return of;
}

/// (covariance + filter_bias I)^(-1/2)
at::Tensor inverse_root(at::Tensor covariance, double filter_bias) {
  covariance.diagonal().add_(filter_bias);
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const double smallest = values[0].item<double>(), largest = values[-1].item<double>();
  // A smaller eigenvalue is the rounding error of 0, so its inverse has no meaning.
  const double rounding =
      static_cast<double>(values.size(0)) * std::numeric_limits<double>::epsilon() * largest;
  if (!(smallest > rounding)) {
    throw OptionError("zca_filter_bias",
                      significant(filter_bias) + " leaves a variance of " + significant(smallest) +
                          ", which beside the largest, " + significant(largest) + ", is rounding",
                      "0.1 is usual");
  }
  return (vectors * values.rsqrt()).matmul(vectors.t());
}

}  // namespace

std::optional<WhiteningOptions> whitening_options(const Options& augment) {
  if (!data::whitened(augment)) return {};
  WhiteningOptions options;
  const auto read = [&](const char* name, double& value, double above) {
    if (augment.has(name)) value = augment.real(name);
    if (value >= above && std::isfinite(value)) return;
    throw OptionError(name,
                      significant(value) + (above > 0 ? " is not above 0" : " is not 0 or above"),
                      "take it out for the usual value");
  };
  // The smallest number above 0.
  constexpr double positive = std::numeric_limits<double>::denorm_min();
  read("gcn_scale", options.scale, positive);
  read("gcn_sqrt_bias", options.sqrt_bias, 0);
  read("gcn_min_divisor", options.min_divisor, positive);
  read("zca_filter_bias", options.filter_bias, positive);
  if (augment.has("gcn_subtract_mean")) {
    options.subtract_mean = augment.boolean("gcn_subtract_mean");
  }
  if (augment.has("gcn_use_std")) options.use_std = augment.boolean("gcn_use_std");
  return options;
}

at::Tensor normalize_contrast(const at::Tensor& images, const WhiteningOptions& options) {
  const at::Tensor rows =
      options.subtract_mean ? images - images.mean(1, /*keepdim=*/true) : images;
  const at::Tensor spread = options.use_std
                                ? rows.var(at::IntArrayRef{1}, /*unbiased=*/true, /*keepdim=*/true)
                                : rows.square().sum(1, /*keepdim=*/true);
  const at::Tensor divisor = (spread + options.sqrt_bias).sqrt() / options.scale;
  return rows / divisor.masked_fill(divisor < options.min_divisor, 1);
}

Whitener::Whitener(const data::Split& train, const WhiteningOptions& options) : options_(options) {
  if (train.count() < 2) {
    throw Error(ErrorKind::data,
                "whitening: a covariance needs 2 training images, there are " +
                    std::to_string(train.count()),
                "keep more (data.validation, data.fraction, data.classes)");
  }
  Moments of = moments(train, options_);
  mean_ = of.mean;
  // The last bits of a product may depend on the memory layout of its factors.
  matrix_ =
      inverse_root(std::move(of.covariance), options_.filter_bias).to(at::kFloat).contiguous();
}

Whitener::Whitener(const WhiteningOptions& options, const at::Tensor& mean,
                   const at::Tensor& matrix)
    : options_(options), mean_(mean.contiguous()), matrix_(matrix.contiguous()) {}

void Whitener::apply(data::Split& split) const {
  if (split.empty()) return;
  const std::int64_t size = image_size(split);
  if (size != mean_.size(0)) {
    throw Error(ErrorKind::internal, "whitening: fitted on images of " +
                                         std::to_string(mean_.size(0)) + " pixels, these have " +
                                         std::to_string(size));
  }
  split.floats.resize(split.pixels.size());
  for_each_chunk(split, options_, [&](std::int64_t first, const at::Tensor& rows) {
    const at::Tensor out = (rows - mean_).to(at::kFloat).matmul(matrix_).contiguous();
    std::memcpy(split.floats.data() + first * size, out.const_data_ptr<float>(),
                static_cast<std::size_t>(out.numel()) * sizeof(float));
  });
  split.pixels = {};
}

void whiten(data::Dataset& set, const WhiteningOptions& options,
            const std::filesystem::path& cache) {
  const Whitener whitener = kept_whitener(set.train, options, cache, set.notes);
  for (data::Split* split : {&set.train, &set.validation, &set.test}) whitener.apply(*split);
}

}  // namespace qhost::data
