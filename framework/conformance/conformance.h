/// conformance/conformance.h: what every architecture and every quantizer must do, as checks that
/// run on any of them.
///
/// The checks know the contracts (qhost/architecture.h, qhost/quantizer.h) and no method. They are
/// what `qhost plugin check` runs for a plugin's author and what the tests of this project run over
/// all of its own plugins.
#pragma once

#include <string>
#include <vector>

#include "qhost/architecture.h"
#include "qhost/quantizer.h"

namespace qhost::conformance {

/// One statement about one configuration of a component, tried.
struct Finding {
  std::string check;          ///< "gradients are finite"
  std::string configuration;  ///< "gradient = text, conv2d weight"
  std::string failure;        ///< "" when it holds, else what was found in its place
  bool holds() const { return failure.empty(); }
};

/// Of the method alone, slot by slot (also as the network's first and last layer), with its default
/// options, with each choice that an option names and with the smallest count that one takes:
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
///     state           an object that gets another's parameters encodes to the same bits
///
/// and of its gradient slots:
///
///     shape           backward() keeps shape and float32, leaves what it is given alone and is
///                     finite; summary() says something
///     layouts         contiguous and channels_last gradients give the same values
///     gradients of 0  give finite results
///     determinism     the same seed and step give the same bits
std::vector<Finding> check_quantizer(const QuantizerMethod& method);

/// In a network (two convolutions, one behind a ReLU or a batch norm, and a linear layer), trained
/// for three steps in fp32 and bf16:
///
///     training        losses and gradients are finite, in both layouts
///     resume          saved after two steps and loaded into another model, the third step gives
///                     the same bits
///     evaluation      repeats to the bit and changes no tensor
///     nothing to do   a rule that selects no layer is an error
std::vector<Finding> check_quantizer_in_network(const QuantizerMethod& method);

/// Of an architecture, on {3,32,32}, 10 classes, and on {1,28,28}, 7 classes, with the defaults and
/// each choice that an option names (a combination that it refuses with an OptionError is left
/// out):
///
///     builds          to a graph that ends in the classes
///     same twice      the same nodes, parameters and shapes
///     published names where a network has them, one of its own for each tensor
///     options         every default lies in its own range
///     runs            training and evaluation of a batch are finite, with gradients for all
///                     parameters
std::vector<Finding> check_architecture(const Architecture& architecture);

}  // namespace qhost::conformance
