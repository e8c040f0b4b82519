/// conformance/conformance.h: what every architecture and every quantizer must do, as checks that
/// run on any of them.
///
/// The checks know the contracts (qhost/architecture.h, qhost/quantizer.h) but no particular
/// method. `qhost plugin check` runs them for the author of a plugin, and the tests of this project
/// run them on all of its own plugins.
#pragma once

#include <string>
#include <vector>

#include "qhost/architecture.h"
#include "qhost/quantizer.h"

namespace qhost::conformance {

/// The result of one check on one configuration of a component.
struct Finding {
  std::string check;          ///< "gradients are finite"
  std::string configuration;  ///< "gradient = text, conv2d weight"
  std::string failure;        ///< "" if the check passed, else what was found instead
  bool holds() const { return failure.empty(); }
};

/// The checks of a method in single slots (also as the network's first and last layer), with its
/// default options, with each choice of an option, and with the smallest valid count of an option:
///
///     options         every default lies in its own range; a value beyond it is refused
///     slots           each role that is offered is taken by some slot
///     starts          initialize() and, where the method wants it, calibration throw nothing
///     pretrained      initialize() keeps the weights that train.init_from loaded, or refuses them
///     shape           forward() keeps shape and float32
///     determinism     the same seed, epoch and step give the same bits
///     gradient        finite, and not 0 everywhere
///     encoding        encode() gives what encoding() announced, and the tensors that it needs
///     decoding        decode(encode(x)) equals forward(x) in evaluation mode, as floats
///     levels          no code beyond the encoding's; up to 4 bits each of them (but the last where
///                     the levels lie symmetrically around 0) occurs on tensors made to cover them
///     sign of zero    of binary codes, as the encoding says, for +0 and -0
///     zeros           a weight or an input of 0 throughout gives finite values and gradients
///     untouched       encode() and forward() leave the latent weight alone
///     after_step      without optimizer steps between, its calls settle: nothing drifts
///     state           an object with the parameters of another one encodes to the same bits
///
/// and in its gradient slots:
///
///     shape           backward() keeps shape and float32, leaves what it is given alone and is
///                     finite; summary() says something
///     layouts         contiguous and channels_last gradients give the same values
///     gradients of 0  give finite results
///     determinism     the same seed and step give the same bits
std::vector<Finding> check_quantizer(const QuantizerMethod& method);

/// The checks of a method in a network (two convolutions, one behind a ReLU or a batch norm, and a
/// linear layer), trained for three steps in fp32 and bf16:
///
///     training        losses and gradients are finite, in both layouts
///     resume          saved after two steps and loaded into another model, the third step gives
///                     the same bits
///     evaluation      repeats to the bit and changes no tensor
///     nothing to do   a rule that selects no layer is an error
std::vector<Finding> check_quantizer_in_network(const QuantizerMethod& method);

/// The checks of an architecture on {3,32,32} with 10 classes and on {1,28,28} with 7 classes, with
/// the defaults and each choice of an option (a combination that it refuses with an OptionError is
/// left out):
///
///     builds          to a graph that ends in the classes
///     same twice      the same nodes, parameters and shapes
///     published names where a network has them, one of its own for each tensor
///     options         every default lies in its own range
///     runs            training and evaluation of a batch are finite, with gradients for all
///                     parameters
std::vector<Finding> check_architecture(const Architecture& architecture);

}  // namespace qhost::conformance
