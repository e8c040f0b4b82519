/// What all methods of this plugin share about training: whether it sees the quantized values.
#pragma once

#include "qhost/options.h"
#include "qhost/quantizer.h"

namespace qhost::ptq {

/// as_float: the network trains in float; evaluation and storage alone are quantized, so that the
/// end of a run is the quantization of a trained network. quantized: training computes with the
/// quantized values too, and their gradient reaches the float ones (straight through).
enum class Training { as_float, quantized };

/// The option `training`: "float" (default) or "quantized".
Option training_option();
Training training_from(const Options& options);

/// Does this call compute with float values?
inline bool rests_as_float(Training training, const SlotContext& context) {
  return training == Training::as_float && context.mode == Mode::train;
}

}  // namespace qhost::ptq
