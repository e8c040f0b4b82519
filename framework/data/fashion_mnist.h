/// data/fashion_mnist.h: Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747).
#pragma once

#include "data/dataset.h"
#include "data/idx.h"

namespace qhost::data {

const IdxLayout& fashion_mnist_layout();
const PublishedSet& fashion_mnist_files();
DatasetInfo fashion_mnist();

}  // namespace qhost::data
