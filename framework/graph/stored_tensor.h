/// graph/stored_tensor.h: one tensor as inference stores it: an Encoding, its codes as bytes, and
/// what turns codes into values. Needs no LibTorch.
///
/// Elements stand in row-major order of the logical shape, whose dimension 0 is the output channel
/// ([Cout, Cin/groups, kh, kw], [out, in] or [C]), without padding of any kind:
///   float32            4 bytes each, little-endian
///   float16, bfloat16  2 bytes each, little-endian
///   all others         packed codes (graph/pack_codes.h)
/// With Encoding::ensemble_size > 1 the members follow one another, and each begins at a byte.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "qhost/encoding.h"

namespace qhost {

struct StoredTensor {
  Encoding encoding;
  std::vector<std::int64_t> shape;
  /// All four are empty where only the structure is known (before a training, say).
  std::vector<std::uint8_t> codes;
  std::vector<float> scale;              ///< one, or one per output channel
  std::vector<std::int32_t> zero_point;  ///< in half steps: one, or one per output channel
  std::vector<float> table;              ///< codebook: [2^bits] or [channels, 2^bits]

  bool operator==(const StoredTensor&) const = default;
  std::int64_t elements() const;  ///< of one member
  std::int64_t channels() const;  ///< shape[0]; 1 for a scalar
  bool has_contents() const { return !codes.empty(); }
};

/// How many entries each part has when the contents are there.
struct StoredSizes {
  std::int64_t member_bytes = 0;  ///< codes of one member
  std::int64_t code_bytes = 0;    ///< codes of all members
  std::int64_t scales = 0, zero_points = 0, table = 0;
};
StoredSizes stored_sizes(const StoredTensor& tensor);

/// "" when the encoding is consistent, every dimension is 1 or more, and the contents, if any, have
/// the sizes of stored_sizes(), no code that the encoding lacks, and no bit set behind the last
/// code of a member. Else one sentence with both values.
std::string why_invalid(const StoredTensor& tensor);

/// A float32 tensor of these values.
StoredTensor float_tensor(std::vector<std::int64_t> shape, std::span<const float> values);
/// The values of a float32 tensor with contents; throws Error (internal) for any other.
std::vector<float> float_values(const StoredTensor& tensor);
/// The codes of one member, a byte each; throws Error (internal) for a float kind, or without
/// contents.
std::vector<std::uint8_t> codes_of(const StoredTensor& tensor, int member = 0);

/// How many elements have a level other than 0; of several members the mean, rounded up. A float
/// counts by its value, -0 being 0 and NaN not. Throws Error (internal) without contents.
std::int64_t count_nonzero(const StoredTensor& tensor);

}  // namespace qhost
