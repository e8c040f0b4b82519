/// data/minicifar.h: the reduced CIFAR-10 of a university course on efficient networks
/// (github.com/brain-bzh/ai-optim, minicifar.py), image for image.
#pragma once

#include "data/dataset.h"

namespace qhost::data {

/// Keeps the first four classes of a complete CIFAR-10, and of the n images of a class those at the
/// positions numpy.random.RandomState(42).choice(n, k, replace=False) within the class, class
/// after class, in the drawn order:
///   train       n = 5000 training images, k = 1000
///   validation  n = 1000 TEST images, k = 200: they are test images too
///   test        n = 1000 test images, k = 1000: all, reordered
/// Throws Error (data) if a class does not have n images.
void reduce_to_minicifar(Dataset& set);

DatasetInfo minicifar();

}  // namespace qhost::data
