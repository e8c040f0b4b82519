/// The plain convolutional networks on which binary methods are compared: six 3x3 convolutions in
/// three stages of two, with w, 2w and 4w channels (w = 128), each stage with 2x2 max pooling.
///
///     2x(128C3)-MP2-2x(256C3)-MP2-2x(512C3)-MP2-<linear layers>
///
/// A layer is convolution, [max pooling,] batch norm, activation. The pooling stands before the
/// batch norm: a quantizer of signed inputs reads what the batch norm gives, and no maximum is
/// taken of values that are binary already (order B-A-C-P, 1603.05279, section 3.2).
///
/// family "binaryconnect": the CIFAR-10 network of Courbariaux, Bengio, David (1511.00363), on
///   which BinaryNet and XNOR-Net were measured too. Two linear layers of 8w units, each with batch
///   norm and activation; the output layer has a batch norm as well, with which its squared hinge
///   loss was trained. No biases, since each layer has a batch norm behind it; epsilon is 1e-4.
///   Weights start as U(+-sqrt(6/(fan_in+fan_out))).
/// family "small": VGG-small, as LQ-Nets (1807.10029) and IR-Net (1909.10788) train it. Behind the
///   six convolutions stands the output layer, with biases and without batch norm; epsilon is 1e-5.
///   Convolutions start as N(0, 2/fan_out), the linear layer as U(+-1/sqrt(fan_in)).
///
/// Names: stage1.{conv1, bn1, relu1, conv2, pool, bn2, relu2}; flatten; of the family binaryconnect
/// hidden1.{fc, bn, relu}, hidden2; fc, and its bn. With activation = "hardtanh" relu is hardtanh.
#pragma once

#include "qhost/architecture.h"

namespace qhost::vgg {

Architecture architecture();

}  // namespace qhost::vgg
