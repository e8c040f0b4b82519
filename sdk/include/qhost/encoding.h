/// qhost/encoding.h: how a tensor is stored: the one description that storage, summary, scores,
/// the packed file and the choice of a kernel read. The list of kinds is closed; `codebook` carries
/// any other method.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "qhost/export.h"

namespace qhost {

/// Codes are unsigned integers 0 .. 2^bits-1. The level of a code q is
///   binary    -1 for 0, +1 for 1
///   ternary   q - 1                        (codes 0, 1, 2; two bits)
///   uniform   q - zero_point / 2           (zero_point counts half steps)
///   codebook  table[q], or table[channel][q]; codes 0 .. levels-1
/// and the value is scale * level. Float kinds store the values themselves.
enum class CodeKind { float32, float16, bfloat16, binary, ternary, uniform, codebook };

/// Where scale factors sit. `position` is a factor per output position that is computed at run time
/// (XNOR-Net's K) and stored nowhere.
enum class ScaleKind { none, tensor, channel, position };

/// A zero point is stored never, once, or per output channel.
enum class ZeroPointKind { none, tensor, channel };

struct QHOST_API Encoding {
  CodeKind kind = CodeKind::float32;
  int bits = 32;  ///< of one code: 32, 16, 16, 1, 2, 1..8, 1..8
  ScaleKind scale = ScaleKind::none;
  ZeroPointKind zero_point = ZeroPointKind::none;  ///< uniform only
  bool codebook_per_channel = false;
  int levels = 0;         ///< codebook only: entries of a table, 2 to 256
  int sign_of_zero = +1;  ///< binary: the level of the latent value 0
  /// Codes kept for each weight: 1, or the number of sampled networks of an ensemble.
  int ensemble_size = 1;

  static Encoding float32();
  static Encoding float16();
  static Encoding bfloat16();
  static Encoding binary(ScaleKind scale, int sign_of_zero = +1);
  static Encoding ternary(ScaleKind scale);
  static Encoding uniform(int bits, ScaleKind scale, ZeroPointKind zero_point);
  /// `levels` from 2 to 256, in as few bits as tell them apart: 3 levels take 2 bits.
  static Encoding codebook(int levels, ScaleKind scale, bool per_channel);

  bool operator==(const Encoding&) const = default;
  bool is_float() const;
  /// Number of codes: 2, 3 (ternary), `levels` or 2^bits; 0 of float kinds.
  int code_count() const;
  /// Bits that one weight occupies: bits * ensemble_size.
  int bits_per_weight() const { return bits * ensemble_size; }
};

/// "binary, scale per channel"; "uniform 4 bit, scale per tensor, zero point per tensor";
/// "float32".
QHOST_API std::string to_string(const Encoding& encoding);
QHOST_API const char* to_string(CodeKind kind);
/// "" when consistent, else the sentence that says why not ("binary needs 1 bit, not 2").
QHOST_API std::string why_invalid(const Encoding& encoding);

/// Bytes on disk of a tensor of `shape` (dimension 0 = output channels): codes packed densely and
/// rounded up to a byte member by member, float32 scales and codebook entries, int32 zero points.
QHOST_API std::int64_t stored_bytes(const Encoding& encoding,
                                    const std::vector<std::int64_t>& shape);

}  // namespace qhost
