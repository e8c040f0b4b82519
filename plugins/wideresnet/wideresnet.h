/// Wide residual networks WRN-d-k (Zagoruyko, Komodakis, 1605.07146).
///
/// A 3x3 stem to 16 channels, 3 stages of n = (d-4)/6 pre-activation blocks with 16k, 32k and 64k
/// channels, the first block of stages 2 and 3 with stride 2, batch norm, ReLU, global average
/// pooling, linear. A block is
///     bn1 relu1 conv1 bn2 relu2 [dropout] conv2, added to its input;
/// where the number of channels changes, the shortcut is a 1x1 convolution without batch norm that
/// reads relu1.
///   activation = "leaky_relu": LeakyReLU(0.1) in the place of each ReLU.
///   halving = "raw": the first block of stages 2 and 3 has no bn1 and relu1: conv1 and the shortcut
///   read its input.
/// Convolutions start as N(0, 2/fan_out), the linear layer as U(+-1/sqrt(fan_in)).
///
/// Names: conv1; stage1.block0.{bn1, relu1, conv1, bn2, relu2, dropout, conv2, shortcut, add}; bn,
/// relu, pool, fc. With activation = "leaky_relu" relu1 is leaky_relu1.
#pragma once

#include "qhost/architecture.h"

namespace qhost::wideresnet {

Architecture architecture();

}  // namespace qhost::wideresnet
