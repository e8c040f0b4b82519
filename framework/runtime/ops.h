/// runtime/ops.h: the operations other than convolutions. Formulas: packed/program.h.
#pragma once

#include <memory>
#include <vector>

#include "qhost/encoding.h"
#include "qhost/graph.h"
#include "runtime/op.h"

namespace qhost::runtime {

using OpPointer = std::unique_ptr<Op>;

// Places are owned by the plan; they get their offsets after the operations are made.

/// From the caller's [C, H, W].
OpPointer input_op(const FloatPlace* out);
/// To the caller's [classes].
OpPointer output_op(const FloatPlace* in);

/// Bits as bytes 0 and 1.
OpPointer unpack_op(const CodePlace* bits, const CodePlace* bytes);
/// values: [count], or [C, count] with per_channel, by code.
OpPointer decode_op(std::vector<float> values, bool per_channel, const CodePlace* in,
                    const FloatPlace* out);

OpPointer affine_op(std::vector<float> scale, std::vector<float> bias, const FloatPlace* in,
                    const FloatPlace* out);
OpPointer activation_op(Activation kind, float slope, const FloatPlace* in, const FloatPlace* out);
/// `kind`: float16 or bfloat16.
OpPointer round_op(CodeKind kind, const FloatPlace* in, const FloatPlace* out);
OpPointer add_op(std::vector<const FloatPlace*> in, const FloatPlace* out);
OpPointer concat_op(std::vector<const FloatPlace*> in, const FloatPlace* out);
struct Window {
  int kernel_height = 1, kernel_width = 1, stride_height = 1, stride_width = 1;
  int pad_height = 0, pad_width = 0;
};
OpPointer max_pool_op(const Window& window, const FloatPlace* in, const FloatPlace* out);
OpPointer average_pool_op(const Window& window, const FloatPlace* in, const FloatPlace* out);
OpPointer global_average_pool_op(const FloatPlace* in, const FloatPlace* out);
OpPointer subsample_op(int stride_height, int stride_width, const FloatPlace* in,
                       const FloatPlace* out);
OpPointer flatten_op(const FloatPlace* in, const FloatPlace* out);
/// The image with a frame of `level`.
OpPointer pad_op(float level, const FloatPlace* in, const FloatPlace* out);

/// A = mean of |x| over the channels.
OpPointer mean_of_channels_op(const FloatPlace* in, const FloatPlace* out);
/// K = sum of A over the window / (kh * kw), zeros around.
OpPointer box_op(const Window& window, const FloatPlace* in, const FloatPlace* out);

/// Fills the border beside rows, and above and below if they are the first and the last ones.
void fill_border(const CodePlace& place, const Work& work, Rows rows);

}  // namespace qhost::runtime
