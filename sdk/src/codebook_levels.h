/// sdk/codebook_levels.h: how files and texts tell the number of a codebook's levels: only where it is
/// not the number that its bits tell apart.
#pragma once

#include "qhost/encoding.h"

namespace qhost {

/// 2^bits, or 0 for a number of bits that no code has.
inline int levels_of_bits(int bits) {
  return bits >= 1 && bits <= 8 ? 1 << bits : 0;
}

/// Whether a codebook has fewer; also of an encoding that is not sound.
inline bool tells_levels(const Encoding& encoding) {
  return encoding.kind == CodeKind::codebook && encoding.levels != levels_of_bits(encoding.bits);
}

}  // namespace qhost
