/// data/whiten.h: global contrast normalization and ZCA whitening of a data set's images.
///
/// The method of Pylearn2 (Goodfellow et al., arXiv 1308.4214: global_contrast_normalize, and ZCA
/// with all components) after Coates, Lee and Ng, "An Analysis of Single-Layer Networks in
/// Unsupervised Feature Learning", AISTATS 2011. The defaults are those of the CIFAR-10 files for
/// Maxout Networks and BinaryConnect. An image x is a row of D = C*H*W pixels, 0..255, and becomes
/// a row g:
///     g = x - mean(x)                                   x itself without subtract_mean
///     d = sqrt(sqrt_bias + sum(g^2)) / scale            with use_std the variance of g, its sum of
///                                                       squares over D - 1, in place of the sum
///     g / d                                             g itself where d < min_divisor
/// With the n images of the training split, in double:
///     m = mean(g),  C = sum((g - m)^T (g - m)) / n,  C + filter_bias I = V diag(e) V^T
///     P = V diag(1 / sqrt(e)) V^T
/// Every image of every split becomes (g - m) P: the difference is computed in double, the product
/// in float32. Pylearn2's files are fitted on all 50,000 training images of CIFAR-10; here,
/// validation images that were split off have no influence on m and P.
///
/// The same images, options and number of threads give the same bits.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>

#include "data/dataset.h"
#include "qhost/options.h"

namespace qhost::data {

struct WhiteningOptions {
  double scale = 55;
  bool subtract_mean = true;
  bool use_std = false;
  double sqrt_bias = 0;
  double min_divisor = 1e-8;
  double filter_bias = 0.1;
};

/// The whitening options of an experiment's [augment] table: whitening, gcn_scale,
/// gcn_subtract_mean, gcn_use_std, gcn_sqrt_bias, gcn_min_divisor, zca_filter_bias. A missing key
/// has its default. Empty for whitening = "none". Throws OptionError.
std::optional<WhiteningOptions> whitening_options(const Options& augment);

/// The contrast normalization of float64 [N, D]; returns the same shape and type.
at::Tensor normalize_contrast(const at::Tensor& images, const WhiteningOptions& options);

/// A fitted transform, always on the CPU.
class Whitener {
 public:
  /// Fits the transform. Throws Error (data) for fewer than two images and for images that are all
  /// equal, OptionError for constants without a transform (gcn_scale, zca_filter_bias).
  Whitener(const data::Split& train, const WhiteningOptions& options);
  /// A transform that was fitted earlier with these options.
  Whitener(const WhiteningOptions& options, const at::Tensor& mean, const at::Tensor& matrix);

  /// Writes the split's floats and frees its bytes. Throws Error (internal) for images of another
  /// size.
  void apply(data::Split& split) const;

  const at::Tensor& mean() const { return mean_; }      ///< m, float64 [D]
  const at::Tensor& matrix() const { return matrix_; }  ///< P, float32 [D, D]

 private:
  WhiteningOptions options_;
  at::Tensor mean_, matrix_;
};

/// Fits on set.train and applies the transform to train, validation and test. If `cache` names a
/// folder, the fit is stored there for the next start (data/whitening_cache.h); a problem with the
/// folder is added to set.notes.
void whiten(data::Dataset& set, const WhiteningOptions& options,
            const std::filesystem::path& cache = {});

}  // namespace qhost::data
