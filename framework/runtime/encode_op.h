/// runtime/encode_op.h: the operation that makes codes of floats.
#pragma once

#include "runtime/encoder.h"
#include "runtime/ops.h"

namespace qhost::runtime {

/// `bits` and `bytes` may be null. `tables` serve the bytes, `encoder` the bits of two codes.
OpPointer encode_op(const Encoder& encoder, EncodeTables tables, const FloatPlace* in,
                    const CodePlace* bits, const CodePlace* bytes);

}  // namespace qhost::runtime
