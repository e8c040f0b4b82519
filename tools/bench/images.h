/// bench/images.h: random images of CIFAR-10's shape.
#pragma once

#include "data/augment.h"
#include "data/dataset.h"

namespace qhost::bench {

constexpr std::int64_t classes = 10;

Shape image_shape();
/// `count` images of random bytes with random labels.
data::Split random_images(std::int64_t count);
/// Crop of 4 pixels of padding, horizontal flip, normalization.
data::AugmentOptions augmentation();

}  // namespace qhost::bench
