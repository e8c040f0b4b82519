/// Densely connected networks (Huang, Liu, van der Maaten, Weinberger, 1608.06993).
///
/// Each layer of a block reads the concatenation of all before it and adds growth_rate = k
/// channels:
///     without bottleneck  bn1 relu1 conv1 (3x3 to k)
///     bottleneck          bn1 relu1 conv1 (1x1 to 4k) bn2 relu2 conv2 (3x3 to k)
/// Between blocks stands a transition: batch norm, ReLU, a 1x1 convolution that keeps
/// floor(compression * channels) of them, 2x2 average pooling. Behind the last block batch norm,
/// ReLU, global average pooling, linear. `dropout` follows every convolution but the first.
///
/// family "cifar": a 3x3 stem and 3 equal blocks. Depth is 6n+4 with bottlenecks (n layers of two
///   convolutions in a block), 3n+4 without. The stem has 2k channels in a DenseNet-BC (bottlenecks
///   and a compression below 1), else 16.
///     DenseNet-BC 100-12   the defaults
///     DenseNet 40-12       depth = 40, bottleneck = false, compression = 1
/// family "imagenet": the 4 blocks of the networks for ImageNet, always with bottlenecks, behind
///   the 3x3 stem of 2k channels, stride 1 and no max pooling, that small images need.
///     121: 6, 12, 24, 16 layers   161: 6, 12, 36, 24   169: 6, 12, 32, 32   201: 6, 12, 48, 32
///   The paper's k is 32, and 48 at depth 161; the small densenet_cifar of public code is 121
///   with 12.
///
/// Convolutions start as N(0, 2/fan_out), the linear layer as U(+-1/sqrt(fan_in)).
///
/// Names: conv1; block1.layer0.{bn1, relu1, conv1, dropout1, bn2, relu2, conv2, dropout2, concat};
/// transition1.{bn, relu, conv, dropout, pool}; bn, relu, pool, fc.
#pragma once

#include "qhost/architecture.h"

namespace qhost::densenet {

Architecture architecture();

}  // namespace qhost::densenet
