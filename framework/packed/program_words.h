/// packed/program_words.h: what the writer and the reader of a packed file share. Private to packed/.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "packed/program.h"

namespace qhost::packed {

inline constexpr const char* file_format = "qhost packed network";

// The tensors of a step NAME are NAME + suffix. Lists of up to `inline_numbers` finite numbers stand
// in the JSON in their place: a tensor costs 90 bytes of header.
inline constexpr std::size_t inline_numbers = 4;
inline constexpr const char* weight_suffix = ".weight";
inline constexpr const char* weight_zero_point_suffix = ".zero_point";
inline constexpr const char* weight_table_suffix = ".table";
inline constexpr const char* affine_suffix = ".affine";  ///< [2, C]: scale, bias
inline constexpr const char* scale_suffix = ".scale";
inline constexpr const char* bias_suffix = ".bias";
inline constexpr const char* threshold_suffix = ".threshold";
inline constexpr const char* direction_suffix = ".direction";
inline constexpr const char* code_scale_suffix = ".code_scale";
inline constexpr const char* code_zero_point_suffix = ".code_zero_point";
inline constexpr const char* code_table_suffix = ".code_table";

inline constexpr StepOp every_op[] = {StepOp::input,
                                      StepOp::encode,
                                      StepOp::decode,
                                      StepOp::round,
                                      StepOp::conv2d,
                                      StepOp::linear,
                                      StepOp::affine,
                                      StepOp::activation,
                                      StepOp::add,
                                      StepOp::concat,
                                      StepOp::max_pool,
                                      StepOp::average_pool,
                                      StepOp::global_average_pool,
                                      StepOp::subsample,
                                      StepOp::flatten};
inline constexpr CodeKind every_rounding[] = {CodeKind::float16, CodeKind::bfloat16};
inline constexpr Activation every_activation[] = {
    Activation::relu, Activation::relu6,   Activation::leaky_relu, Activation::hardtanh,
    Activation::tanh, Activation::sigmoid, Activation::silu,       Activation::gelu};
inline constexpr CodeKind every_kind[] = {CodeKind::float32, CodeKind::float16, CodeKind::bfloat16,
                                          CodeKind::binary,  CodeKind::ternary, CodeKind::uniform,
                                          CodeKind::codebook};

/// Whether scale and bias are one tensor.
inline bool has_affine_tensor(const Step& step) {
  return step.scale.size() == step.bias.size() && step.scale.size() > inline_numbers;
}

}  // namespace qhost::packed
