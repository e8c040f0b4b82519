/// Residual networks (He, Zhang, Ren, Sun, 1512.03385) for small images, and their form with
/// pre-activation (He, Zhang, Ren, Sun, 1603.05027).
///
/// family "cifar", depth 6n+2: a 3x3 stem to 16 channels, 3 stages of n blocks with 16, 32 and 64
/// channels, the first block of stages 2 and 3 with stride 2, global average pooling, linear.
///   Weights N(0, 2/fan_in), the linear layer's too.
///   preactivation: no batch norm after the stem, a batch norm and ReLU before the pooling.
///
/// family "imagenet", depth 18 (2, 2, 2, 2 blocks) or 34 (3, 4, 6, 3), with the 3x3 stem, stride 1
/// and no max pooling, that small images need: 64, 128, 256 and 512 channels, strides 1, 2, 2, 2.
///   Convolutions N(0, 2/fan_out), the linear layer U(+-1/sqrt(fan_in)).
///   stem_pool: a 3x3 max pool of stride 2 and padding 1 behind the stem, in both families.
///   preactivation: no batch norm after the stem and, as in the published PreActResNet18 for
///   CIFAR-10, none before the pooling either (1603.05027 has one there).
///
/// A block has two 3x3 convolutions and, with block = "basic", one shortcut around both. Where its
/// shape changes, the shortcut is
///   A  every stride-th pixel, channels padded with zeros: no parameters
///   B  a 1x1 convolution, with batch norm unless the block is pre-activated
/// and reads the pre-activated tensor in a pre-activated block. "auto" is A for cifar, B for
/// imagenet.
///
/// block = "bireal" (Liu et al., 1808.00278) has a shortcut around each convolution. It carries
/// real values of both signs: no activation stands on its way, neither at the stem's end nor in
/// front of the pooling, and each convolution has an activation of its own in front:
///     a_(i+1) = bn(conv(activation(a_i))) + a_i
/// A quantizer of signed inputs reads a_i itself, since it goes around a ReLU: that is the paper's
/// network, sign in the place of the activation. Where the shape changes, B takes 2x2 means, then
/// the 1x1 convolution with stride 1, then batch norm (the paper's, to be kept in float:
/// "kernel:1x1").
///   preactivation: a_(i+1) = conv(activation(bn(a_i))) + a_i; B has no batch norm; the end is that
///   of the family.
///
/// In a pre-activated network every 3x3 convolution reads a batch norm, if its quantizer takes
/// signed inputs: the order B-A-C that XNOR-Net found to be needed.
///
/// Names: conv1, bn1, relu1; stage1.block0.{conv1, bn1, relu1, conv2, bn2, shortcut, add, relu2};
/// a B shortcut is shortcut.conv and shortcut.bn; pool, fc. A Bi-Real block has shortcut1, add1 and
/// add2, and shortcut1.pool. With activation = "hardtanh" relu1 is hardtanh1.
#pragma once

#include "qhost/architecture.h"

namespace qhost::resnet {

Architecture architecture();

}  // namespace qhost::resnet
