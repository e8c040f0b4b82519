/// model/check_encoded.h: holds what encode() gives against what encoding() announced, and the
/// weight that it gets and the numbers that it gives against being finite.
///
/// Evaluation, `qhost plugin check` and so every test of a plugin ask the same functions.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "model/plugin_call.h"
#include "qhost/quantizer.h"

namespace qhost {

/// Throws Error (diverged) unless all of `weight`, which encode() is about to get, is finite. A
/// code stands for a finite value; of another a method may make anything.
///
///     plugin `p`: method `m` cannot encode the weight of stage1.conv: 3 of its 36 values are not
///     finite
///     help: ...
void require_finite(const PluginCall& call, const at::Tensor& weight);

/// The same of the scale, the codebook and the float values that encode() gave.
void require_finite(const PluginCall& call, const Encoded& encoded);

/// What of an Encoded is looked at: `form` is its encoding, types and shapes; with the values,
/// each code is read, too.
enum class EncodedCheck { form, form_and_values };

/// "" or one sentence with both values: "encode() gives float32, announced is binary, scale per
/// tensor", "the code 7 occurs, the encoding has 4". `tensor` is the shape of what was encoded,
/// whose channels are dimension `channel_dimension` (0 for weights, 1 for inputs).
std::string broken_promise(const Encoding& announced, const Encoded& encoded,
                           at::IntArrayRef tensor, int channel_dimension, EncodedCheck check);

/// The same of EncodedInput::output_scale, a factor for each position of the output: `output` is
/// the shape of one sample's output.
std::string broken_output_scale(const Encoding& announced, const at::Tensor& output_scale,
                                std::int64_t samples, const Shape& output);

}  // namespace qhost
